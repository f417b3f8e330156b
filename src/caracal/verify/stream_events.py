"""Revocations as stock servers publish them on a Valkey (or Redis) stream: pure.

`caracal.sessions.revoke` names what ended, `caracal.delegations.invalidate` the epoch of a zone's
delegations. How entries are signed: `caracal.wire.revocation_streams`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from caracal.wire.revocation_streams import DELEGATIONS, proven

MAX_FIELDS: Final = 32
MAX_TEXT: Final = 1_024

_ANCHORS: Final = ("session_id", "sid", "root_sid", "agent_session_id", "delegation_edge_id")
_EPOCH: Final = re.compile(r"[0-9]{1,16}")


class InvalidEvent(ValueError):
    """The entry is not signed with the key, or says nothing that could be applied."""


@dataclass(frozen=True, slots=True)
class Ended:
    """These ids have ended, and what descends from them."""

    zone_id: str
    anchors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EpochBegan:
    """Delegated mandates of the zone from before this epoch are stale."""

    zone_id: str
    epoch: int


def read_event(stream: str, fields: Mapping[str, str], key: bytes) -> Ended | EpochBegan:
    """What an entry says, once its signature is proven.

    Raises:
        InvalidEvent: it is not proven, or says nothing.
    """
    prove(stream, fields, key)
    zone_id = fields.get("zone_id", "")
    if stream == DELEGATIONS:
        epoch = fields.get("epoch", "")
        if not zone_id or _EPOCH.fullmatch(epoch) is None:
            raise InvalidEvent("it names no zone or no epoch")
        return EpochBegan(zone_id, int(epoch))
    anchors = tuple(dict.fromkeys(fields[name] for name in _ANCHORS if fields.get(name)))
    if not anchors:
        raise InvalidEvent("it names nothing that ended")
    return Ended(zone_id, anchors)


def prove(stream: str, fields: Mapping[str, str], key: bytes) -> None:
    """Hold an entry to its signature.

    Raises:
        InvalidEvent: a line break or an equals sign where the signed form would have two readings, too
            much of it, or a signature that does not match.
    """
    if len(fields) > MAX_FIELDS or any(len(text) > MAX_TEXT for text in fields.values()):
        raise InvalidEvent(f"at most {MAX_FIELDS} fields of {MAX_TEXT} characters")
    if not proven(stream, fields, key):
        raise InvalidEvent("the signature does not match, or a field could be read as two")
