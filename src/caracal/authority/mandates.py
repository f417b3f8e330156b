"""Mandates: short-lived signed proofs of a grant, as values."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    MandateId,
    RecordId,
    SessionId,
    SubjectId,
    ZoneId,
)
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import ScopeSet
from caracal.authority.subjects import User

DEFAULT_LIFETIME = timedelta(seconds=900)
MAX_LIFETIME = timedelta(seconds=3600)
MAX_RESOURCE_LIFETIME = timedelta(seconds=900)
MAX_BOUND_LIFETIME = timedelta(seconds=900)
ACCESS_LIFETIME = timedelta(seconds=600)
PERSONS_ACCESS_LIFETIME = timedelta(seconds=3600)


class MandateClass(StrEnum):
    """What a mandate may be presented to."""

    SESSION = "session"
    """The Coordinator and the STS."""
    GATEWAY = "gateway"
    """The Gateway, once."""
    RESOURCE = "resource"
    """A resource server that verifies mandates itself."""
    ACCESS = "access"
    """The Gateway, at the endpoint of one MCP server, as often as it likes."""


class SubjectType(StrEnum):
    APPLICATION = "application"
    USER = "user"


class Hop(msgspec.Struct, frozen=True):
    """One step of a delegation chain: who handed on, from which session, by which delegation."""

    application_id: ApplicationId
    session_id: SessionId | None
    delegation_id: DelegationId | None


class Holder(msgspec.Struct, frozen=True):
    """The public key of who may narrow: a point of P-256, its coordinates in base64url."""

    x: str
    y: str


class Bound(msgspec.Struct, frozen=True):
    """Who may narrow a mandate, and how often it may be handed on to another holder."""

    holder: Holder
    hand_ons: int = 0


class Origin(msgspec.Struct, frozen=True):
    """What something was narrowed from: its id, and the thumbprint of the key that narrowed it."""

    id: MandateId
    thumbprint: str


class Mandate(msgspec.Struct, frozen=True):
    """What a mandate says. Only `tokens` turns bytes into one, after it verified them.

    Attributes:
        record: the authority record this mint made (`sid`); `root_record` the one it goes back to.
        session_path: sessions from the root down to the one it acts in; empty without a session.
        delegation_path: delegations, root first, leaf last.
        chain: the hops of that path and the receiver.
        graph_epoch: the zone's delegation epoch when it was minted.
        subject_issuer: who vouches for the subject when it is a user; empty for an application.
        bound: who may narrow it; then it counts for nothing by itself.
        origins: what it was narrowed from, the mandate that was minted first.
    """

    id: MandateId
    zone_id: ZoneId
    mandate_class: MandateClass
    issuer: str
    subject: SubjectId
    subject_type: SubjectType
    application_id: ApplicationId
    audience: tuple[str, ...]
    scopes: ScopeSet
    resources: tuple[ResourceUri, ...]
    record: RecordId
    root_record: RecordId
    issued_at: datetime
    expires_at: datetime
    session_path: tuple[SessionId, ...] = ()
    delegation_path: tuple[DelegationId, ...] = ()
    chain: tuple[Hop, ...] = ()
    graph_epoch: int = 0
    subject_issuer: str = ""
    bound: Bound | None = None
    origins: tuple[Origin, ...] = ()

    @property
    def user(self) -> User | None:
        return User(self.subject_issuer, self.subject) if self.subject_issuer else None

    @property
    def session_id(self) -> SessionId | None:
        return self.session_path[-1] if self.session_path else None

    @property
    def delegation_id(self) -> DelegationId | None:
        return self.delegation_path[-1] if self.delegation_path else None

    @property
    def hop_count(self) -> int:
        return len(self.delegation_path)

    @property
    def hops(self) -> int:
        """How often it was handed on: by delegations, and then by holders."""
        return len(self.delegation_path) + max(len(self.origins) - 1, 0)
