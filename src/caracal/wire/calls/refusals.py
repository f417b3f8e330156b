"""What Caracal answers when it says no, as errors that say what to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec

from caracal.authority.outcomes import Reason

MAX_SHOWN = 1000
_SECONDS = re.compile(r"[0-9]{1,6}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def request_id(self) -> str:
        return shown(self.headers.get("x-request-id", ""), 128)

    @property
    def receipt(self) -> str:
        """The reference of the entry that the answer rests on; empty when it names none."""
        return self.headers.get("caracal-receipt", "")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, where the answer says so; Caracal never says it as a date."""
        text = self.headers.get("retry-after", "").strip()
        return float(text) if _SECONDS.fullmatch(text) else None


class CaracalError(Exception):
    """No, or no answer; `str()` of it says what failed, why, what to do and the request's id.

    Attributes:
        code: the reason, a stable word of `docs/errors.md`, or one of this class's own.
        error: the coarser word that stock clients branch on; empty when there was no answer.
        description: what is wrong.
        fix: what to do about it.
        status: of the answer; 0 when there was none.
        request_id: for `caracal explain` and for whoever is asked for help; may be empty.
        retry_after: seconds after which asking again makes sense; `None` when nothing is known.
        receipt: the reference of the entry that records the refusal; may be empty.
    """

    fallback = "look the code up in docs/errors.md"

    def __init__(
        self,
        what: str,
        description: str,
        *,
        code: str,
        fix: str = "",
        error: str = "",
        answer: Answer | None = None,
    ) -> None:
        self.what = what
        self.code = code
        self.error = error
        self.description = description
        self.fix = fix or self.fallback
        self.status = 0 if answer is None else answer.status
        self.request_id = "" if answer is None else answer.request_id
        self.retry_after = None if answer is None else answer.retry_after
        self.receipt = "" if answer is None else answer.receipt
        named = f" (request {self.request_id})" if self.request_id else ""
        super().__init__(f"could not {what}: {description} [{code}]; {self.fix}{named}")

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything."""
        return self.status in _TEMPORARY


class AccessDenied(CaracalError):
    """Neither the grant nor policy allows it."""


class CredentialsRefused(CaracalError):
    """The application is not known, or its secret is wrong."""

    fallback = "check zone_id, application_id and the client secret"


class SessionEnded(CaracalError):
    """The session, or one above it, was ended, has expired, or is suspended."""

    fallback = "start a new session, or have an operator resume a suspended one"


class LeaseLost(SessionEnded):
    """Another process took the service over, or its heartbeats came too late."""

    fallback = "stop; `attach` takes a service over that still lives"


class DelegationEnded(CaracalError):
    """The delegation was revoked, has expired, or was never made to this session."""

    fallback = "have it delegated anew"


class InvalidRequest(CaracalError):
    """The request itself is wrong; repeating it will not help."""


class ServiceUnavailable(CaracalError):
    """Caracal, or what is behind it, can not answer now: nothing was allowed."""

    fallback = "ask again after a while"


class Unreachable(CaracalError):
    """No answer came. `sent` tells whether the request may have arrived, and so may have acted."""

    fallback = "check the address, and whether Caracal runs there"

    def __init__(self, what: str, description: str, *, sent: bool) -> None:
        super().__init__(what, description, code="unreachable")
        self.sent = sent

    @property
    def temporary(self) -> bool:
        return True


class UnexpectedAnswer(CaracalError):
    """Something answered that is not Caracal, or not one that this library understands."""

    fallback = "check that the address is Caracal's and nothing in between answers for it"

    @classmethod
    def to(cls, what: str, answer: Answer, problem: str) -> Self:
        description = f"the answer ({answer.status}) can not be read: {shown(problem)}"
        return cls(what, description, code="unexpected_answer", answer=answer)


class ApprovalRequired(CaracalError):
    """A human has to approve first. `approval_id` names what waits for approval."""

    fallback = "have approval_id approved, then ask again with it"

    def __init__(self, what: str, members: "_Members", answer: Answer) -> None:
        description = members.error_description or "a human has to approve it"
        super().__init__(
            what,
            shown(description),
            code="approval_required",
            fix=shown(members.hint),
            error=members.error,
            answer=answer,
        )
        self.approval_id = shown(members.approval_id, 128)


class _Members(msgspec.Struct):
    """Both forms of a refusal: OAuth's, and problem details (RFC 9457)."""

    error: str = ""
    error_description: str = ""
    reason: str = ""
    hint: str = ""
    title: str = ""
    detail: str = ""
    approval_type: str = ""
    approval_id: str = ""


_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_KINDS: dict[str, type[CaracalError]] = {
    Reason.CLIENT_UNKNOWN: CredentialsRefused,
    Reason.CLIENT_SECRET_WRONG: CredentialsRefused,
    Reason.CLIENT_ZONE_MISMATCH: CredentialsRefused,
    Reason.ZONE_UNKNOWN: CredentialsRefused,
    Reason.SESSION_UNKNOWN: SessionEnded,
    Reason.SESSION_NOT_LIVE: SessionEnded,
    Reason.SESSION_PARENT_UNKNOWN: SessionEnded,
    Reason.MANDATE_REVOKED: SessionEnded,
    Reason.IDEMPOTENCY_RESULT_INACTIVE: SessionEnded,
    Reason.SESSION_LEASE_EXPIRED: LeaseLost,
    Reason.SESSION_LEASE_FENCED: LeaseLost,
    Reason.DELEGATION_UNKNOWN: DelegationEnded,
    Reason.DELEGATION_NOT_LIVE: DelegationEnded,
    Reason.DELEGATION_FOREIGN: DelegationEnded,
    Reason.DELEGATION_PARENT_INACTIVE: DelegationEnded,
    Reason.SESSION_INHERIT_INACTIVE: DelegationEnded,
}


def read_refusal(answer: Answer, what: str) -> CaracalError:
    """What an answer that is not a yes says; anything that is not a refusal of ours is unexpected."""
    try:
        members = msgspec.json.decode(answer.body, type=_Members)
    except (ValueError, RecursionError):
        return UnexpectedAnswer.to(what, answer, "it is neither a yes nor a refusal of Caracal's")
    code = members.reason or members.error
    if answer.status < 400 or not code:  # noqa: PLR2004 - RFC 9110 section 15.5
        return UnexpectedAnswer.to(what, answer, "it is neither a yes nor a refusal of Caracal's")
    if members.error == "interaction_required" and members.approval_type == "human_approval":
        return ApprovalRequired(what, members, answer)
    return _kind(code, answer.status)(
        what,
        shown(members.error_description or members.detail or members.title or code),
        code=shown(code, 128),
        fix=shown(members.hint),
        error=shown(members.error, 128),
        answer=answer,
    )


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Text of an answer, fit for a log: one line, nothing that steers a terminal, not too long."""
    return _UNPRINTABLE.sub("?", text[:limit])


def _kind(code: str, status: int) -> type[CaracalError]:
    named = _KINDS.get(code)
    if named is not None:
        return named
    if status in _TEMPORARY:
        return ServiceUnavailable
    return AccessDenied if status in (401, 403) else InvalidRequest
