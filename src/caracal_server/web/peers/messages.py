"""What peers say, as JSON. Values of the core and the ports travel as they are."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from caracal.authority.events import Entry
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.mcp import NameRule, NameTable
from caracal.authority.outcomes import Reason
from caracal.authority.resources import Operation, OperationTable
from caracal.authority.tool_pins import ToolPin
from caracal_server.ports.evidence import EvidenceQuery
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.peers import OpenedSession
from caracal_server.ports.shards import KnownTree
from caracal_server.ports.tools import Observation
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.peers.services import Service

Shape = TypeVar("Shape")


class Fault(msgspec.Struct, frozen=True):
    """Why a proven question is not answered."""

    reason: Reason
    detail: str


class Follow(msgspec.Struct, frozen=True):
    """Asks for what comes after `after` of the owner's `instance`.

    Attributes:
        reader: tells two runs of one service apart.
        bound: seconds after which the view refuses by itself.
        leaving: the follower has stopped to act on its view.
    """

    reader: str
    instance: str
    after: int
    bound: float
    leaving: bool = False


class Page(msgspec.Struct, frozen=True):
    """What a follower does not have yet.

    Attributes:
        instance: of the owner: numbers of different instances have nothing to do with each other.
        number: of the last change there is.
        at_us: the owner's clock.
        whole: everything, for who has nothing or lost count; then there are no `changes`.
        changes: those after `after`, in order, every one of them.
    """

    instance: str
    number: int
    at_us: int
    whole: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    changes: tuple[msgspec.Raw, ...] = ()


class ZoneChange(msgspec.Struct, frozen=True):
    """A change of one zone's graph; one of a zone not seen before begins it."""

    zone_id: ZoneId
    change: GraphChange


class PublishedKeys(msgspec.Struct, frozen=True):
    """A zone's key set as a JWKS document, the active one first; the last one until an instant, if any."""

    zone_id: ZoneId
    jwks: str
    retiring_until: datetime | None = None


class EvidenceBatch(msgspec.Struct, frozen=True):
    """Entries to append, in order. `again`: they may be recorded already."""

    entries: tuple[Entry, ...]
    again: bool = False


class Recorded(msgspec.Struct, frozen=True):
    """Where each entry of a batch stands, its index and leaf hash, or why not; and the reference to it."""

    receipts: tuple[tuple[int, bytes] | Fault, ...]
    references: tuple[str, ...] = ()


class KnownTrees(msgspec.Struct, frozen=True):
    """The tree that each log of a shard is known to have; one that is not named is not known."""

    trees: dict[ZoneId, KnownTree]


class SearchShard(msgspec.Struct, frozen=True):
    """Asks a shard for entries."""

    zone_id: ZoneId
    query: EvidenceQuery


class ShardReceiptAsked(msgspec.Struct, frozen=True):
    """Asks a shard for the receipt that a reference stands for."""

    reference: str
    witnessed: bool


class ShardReceipt(msgspec.Struct, frozen=True):
    """The receipt as text, or why there is none."""

    text: str = ""
    refused: Fault | None = None


class ProveOperator(msgspec.Struct, frozen=True):
    """Asks who holds the token of that SHA-256; the token itself does not travel."""

    token_sha256: str
    scope: OperatorScope


class OperatorProof(msgspec.Struct, frozen=True):
    """The operator, or why there is none."""

    token_id: str = ""
    name: str = ""
    scopes: frozenset[OperatorScope] = frozenset()
    refused: Fault | None = None


class ResealedKeys(msgspec.Struct, frozen=True):
    """Signing keys sealed anew, by key id."""

    sealed: dict[str, bytes]


class RemoveApplication(msgspec.Struct, frozen=True):
    zone_id: ZoneId
    application_id: ApplicationId


class ClientSessionOpened(msgspec.Struct, frozen=True):
    """The session, or why there is none."""

    opened: OpenedSession | None = None
    refused: Fault | None = None


class ZoneNamed(msgspec.Struct, frozen=True):
    zone_id: ZoneId


class ToolsSeen(msgspec.Struct, frozen=True):
    """Definitions of tools that a Gateway saw in a zone, in order."""

    zone_id: ZoneId
    seen: tuple[Observation, ...]


class ZoneCounts(msgspec.Struct, frozen=True):
    """How much is live in each zone."""

    zones: dict[ZoneId, dict[str, int]]


class MintForResource(msgspec.Struct, frozen=True):
    """Asks for a resource mandate; `token` proves the gateway mandate that it descends from."""

    token: str
    audience: str


class Minted(msgspec.Struct, frozen=True):
    token: str


class Done(msgspec.Struct, frozen=True):
    """It has been done."""


def _plain(value: object) -> object:
    if isinstance(value, OperationTable):
        return value.operations
    if isinstance(value, NameTable):
        return value.rules
    raise NotImplementedError(type(value).__name__)


def _built(kind: type, value: Any) -> Any:
    if kind is OperationTable:
        return OperationTable(msgspec.convert(value, tuple[Operation, ...]))
    if kind is NameTable:
        return NameTable(msgspec.convert(value, tuple[NameRule, ...]))
    raise NotImplementedError(kind.__name__)


encode = msgspec.json.Encoder(enc_hook=_plain).encode
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def decode(data: bytes | msgspec.Raw, shape: type[Shape]) -> Shape:
    """Read a message.

    Raises:
        msgspec.DecodeError: it is none of that shape.
    """
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders[shape] = msgspec.json.Decoder(shape, dec_hook=_built)
    found: Shape = decoder.decode(data)
    return found


PUBLIC_FIELDS: Final = frozenset(
    {
        "id",
        "name",
        "revision",
        "created_at",
        "applications",
        "providers",
        "resources",
        "policy",
        "subject_issuers",
        "title",
        "archived_at",
    }
)
"""Fields of a zone's record that every follower gets."""
SECRET_FIELDS: Final = {
    Service.STS: frozenset({"secret_hashes", "retiring_secrets"}),
    Service.GATEWAY: frozenset({"sealed_credentials", "tool_pins"}),
    Service.COORDINATOR: frozenset[str](),
}
"""Fields that only one of them gets. One that stands nowhere here goes to nobody."""
KEPT_FIELDS: Final = frozenset({"credential_fingerprints"})
"""Fields that never leave Control; a test holds these three to the record's fields."""


def zone_for(service: Service, record: ZoneRecord) -> ZoneRecord:
    """A zone as one follower may see it: what is not for it is empty."""
    mine = PUBLIC_FIELDS | SECRET_FIELDS[service]
    empty = {
        one.name: type(getattr(record, one.name))()
        for one in fields(record)
        if one.name not in mine
    }
    policy = None if service is Service.COORDINATOR else record.policy
    if policy is not None:
        policy = replace(policy, engine=None)
    found = replace(record, policy=policy, **empty)
    return replace(found, tool_pins=tuple(map(_without_texts, found.tool_pins)))


def _without_texts(pin: ToolPin) -> ToolPin:
    return msgspec.structs.replace(pin, text="", held_text="")
