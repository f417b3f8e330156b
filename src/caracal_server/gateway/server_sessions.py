"""Sessions of MCP servers, each of the caller who began it (MCP 2025-11-25, transports).

A session id is all that such a server asks for: whoever knows one takes part. Here it is of use to one
caller. The table is this process's own: an id that is not in it belongs to who uses it first.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from caracal.authority.admission import AdmittedCall
from caracal.authority.identifiers import ResourceId, ZoneId
from caracal.authority.outcomes import Reason, Refused

HEADER: Final = b"mcp-session-id"
MAX_SESSIONS: Final = 16_384
MAX_OF_CALLER: Final = 1024
"""A caller who names more forgets its own, not those of others."""
MAX_ID_BYTES: Final = 1024

_Headers = Sequence[tuple[bytes, bytes]]


class _Session(NamedTuple):
    zone: ZoneId
    resource: ResourceId
    id: bytes


_Caller = tuple[ZoneId, str, str, str]


class ServerSessions:
    """Whose each session is; the one that was used longest ago is forgotten first."""

    __slots__ = ("_callers", "_of")

    def __init__(self) -> None:
        self._callers: OrderedDict[_Session, _Caller] = OrderedDict()
        self._of: defaultdict[_Caller, OrderedDict[_Session, None]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        return len(self._callers)

    def claim(self, admitted: AdmittedCall, headers: _Headers) -> Refused | None:
        """Why an admitted call can not be part of the session that it names, if it names one."""
        named = _named(headers)
        if not named:
            return None
        if len(named) > 1 or not 0 < len(named[0]) <= MAX_ID_BYTES:
            return Refused(
                Reason.MCP_MESSAGE_INVALID,
                f"send one Mcp-Session-Id, of at most {MAX_ID_BYTES} characters",
            )
        if self._owner(admitted, named[0]) != _caller(admitted):
            return Refused(Reason.MCP_SESSION_FOREIGN, "this session was begun by another caller")
        return None

    def answered(self, admitted: AdmittedCall, status: int, headers: _Headers) -> None:
        """Take note of a session that begins with this answer."""
        named = _named([(name.lower(), value) for name, value in headers])
        if status < 300 and len(named) == 1 and 0 < len(named[0]) <= MAX_ID_BYTES:  # noqa: PLR2004 (HTTP)
            self._owner(admitted, named[0])

    def _owner(self, admitted: AdmittedCall, session_id: bytes) -> _Caller:
        session = _Session(admitted.mandate.zone_id, admitted.resource.id, session_id)
        owner = self._callers.setdefault(session, _caller(admitted))
        self._callers.move_to_end(session)
        own = self._of[owner]
        own[session] = None
        own.move_to_end(session)
        if len(own) > MAX_OF_CALLER:
            self._forget(next(iter(own)))
        elif len(self._callers) > MAX_SESSIONS:
            self._forget(next(iter(self._callers)))
        return owner

    def _forget(self, session: _Session) -> None:
        owner = self._callers.pop(session)
        own = self._of[owner]
        del own[session]
        if not own:
            del self._of[owner]


def _named(headers: _Headers) -> list[bytes]:
    return [value.strip() for name, value in headers if name.replace(b"_", b"-") == HEADER]


def _caller(admitted: AdmittedCall) -> _Caller:
    mandate = admitted.mandate
    return mandate.zone_id, mandate.application_id, mandate.subject, mandate.subject_issuer
