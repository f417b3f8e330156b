"""Why a request was not accepted: a code, a status, a sentence, and what to do."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from caracal.authority.outcomes import Reason


class Code(StrEnum):
    """The word that callers branch on; it keeps its meaning for ever."""

    MISSING_TOKEN = "missing_token"  # noqa: S105 (a code)
    INVALID_REQUEST = "invalid_request"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 (a code)
    INVALID_ZONE = "invalid_zone"
    SESSION_REVOKED = "session_revoked"
    DELEGATION_STALE = "delegation_stale"
    SESSION_REQUIRED = "session_required"
    DELEGATION_REQUIRED = "delegation_required"
    CHAIN_MISMATCH = "chain_mismatch"
    HOP_COUNT_EXCEEDED = "hop_count_exceeded"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    KEYS_UNAVAILABLE = "keys_unavailable"
    REVOCATIONS_UNAVAILABLE = "revocations_unavailable"


class _Meaning(NamedTuple):
    status: int
    description: str
    fix: str


_MEANINGS: Final = MappingProxyType(
    {
        Code.MISSING_TOKEN: _Meaning(
            401,
            "the request carries no bearer token",
            "call through the Gateway, or send Authorization: Bearer and a mandate",
        ),
        Code.INVALID_REQUEST: _Meaning(
            400,
            "the request can be read in more than one way",
            "send one Authorization header of the form Bearer <mandate>, and a plain path",
        ),
        Code.INVALID_TOKEN: _Meaning(
            401,
            "the token is not a mandate that counts here",
            "ask for a new mandate for this resource",
        ),
        Code.INVALID_ZONE: _Meaning(
            401,
            "the mandate belongs to another zone",
            "ask for a mandate in the zone of this resource",
        ),
        Code.SESSION_REVOKED: _Meaning(
            401,
            "the authority behind the mandate has ended",
            "start a new session; the ended one does not come back",
        ),
        Code.DELEGATION_STALE: _Meaning(
            401,
            "the delegations have changed since the mandate was issued",
            "ask for a new mandate",
        ),
        Code.SESSION_REQUIRED: _Meaning(
            403,
            "the mandate does not act in a session",
            "start a session and ask for a mandate in it",
        ),
        Code.DELEGATION_REQUIRED: _Meaning(
            403,
            "the mandate rests on no delegation",
            "ask for a mandate under a delegation",
        ),
        Code.CHAIN_MISMATCH: _Meaning(
            403,
            "a required application is not in the delegation chain",
            "have the authority handed on by the application that is required",
        ),
        Code.HOP_COUNT_EXCEEDED: _Meaning(
            403,
            "the authority was handed on too often",
            "have it handed on by fewer applications",
        ),
        Code.INSUFFICIENT_SCOPE: _Meaning(
            403,
            "the mandate lacks a scope that is needed here",
            "ask for a mandate with the scope",
        ),
        Code.KEYS_UNAVAILABLE: _Meaning(
            503,
            "the keys that verify mandates can not be had at present",
            "repeat the request later; if it goes on, check that the issuer can be reached",
        ),
        Code.REVOCATIONS_UNAVAILABLE: _Meaning(
            503,
            "what was revoked is not known well enough at present",
            "repeat the request later; if it goes on, check the feed of revocations",
        ),
    }
)


class NotVerified(Exception):
    """The request is refused.

    Attributes:
        code: what callers branch on.
        description: one sentence; it never holds a token or a part of one.
        reason: the finer reason of the token's reader, where there is one.
        retry_after: seconds after which asking again makes sense; only with status 503.
    """

    def __init__(
        self,
        code: Code,
        description: str = "",
        *,
        reason: Reason | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.code = code
        self.description = description or _MEANINGS[code].description
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(f"{code}: {self.description}")

    @property
    def status(self) -> int:
        """The HTTP status: 400, 401, 403 or 503."""
        return _MEANINGS[self.code].status

    @property
    def fix(self) -> str:
        return _MEANINGS[self.code].fix
