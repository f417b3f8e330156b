"""Refusals and faults as HTTP answers: the only module that turns a reason into a status.

Three renderings of one `Problem`: OAuth error JSON for the STS and the Gateway (RFC 6749 section
5.2), the codes that stock clients of the Coordinator branch on, and problem details (RFC 9457) for
Control and Audit. Each carries the request id in its body and in X-Request-Id.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import structlog

from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.web.asgi import JSON, NO_SNIFF, NO_STORE, Header, Reply
from caracal_server.web.meanings import MEANINGS, Meaning
from caracal_server.web.meanings.admin_answers import ADMIN_CODES, AdminAnswer
from caracal_server.web.meanings.answers import Answer, Variant

PROBLEM_JSON: Final[Header] = (b"content-type", b"application/problem+json")
MAX_DETAIL_LENGTH: Final = 1000
_UNAUTHORIZED: Final = 401
_FRAMES_LOGGED: Final = 8

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("caracal.web")


class Issue(msgspec.Struct, frozen=True):
    """One thing wrong with a request: where, as the path to the field, and what."""

    path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request gets no as its answer, before it is known in which form.

    Attributes:
        detail: a human sentence for the client, without secrets; the reason's title when empty.
        variant: the answer to give when the reason's own is too vague.
        retry_after: seconds, where more is known than the reason's own say.
        headers: to add to the answer.
    """

    reason: Reason
    detail: str = ""
    variant: Variant | AdminAnswer | None = None
    retry_after: int | None = None
    issues: tuple[Issue, ...] = ()
    headers: tuple[Header, ...] = ()

    @classmethod
    def of(cls, refused: Refused, variant: Variant | AdminAnswer | None = None) -> "Problem":
        """Take over a refusal."""
        return cls(refused.reason, refused.detail, variant)


def nothing_here() -> Problem:
    """Whatever the method: the path leads nowhere."""
    return Problem(Reason.REQUEST_MALFORMED, "there is nothing at this path", Variant.NOT_FOUND)


def other_method(allowed: str) -> Problem:
    """The path is there, and takes other methods."""
    return Problem(
        Reason.METHOD_UNSUPPORTED,
        f"this path takes {allowed}",
        headers=((b"allow", allowed.encode()),),
    )


class RequestRefused(Exception):
    """What was sent can not be served: an edge raises it and answers the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


Renderer: TypeAlias = Callable[[Problem, str], Reply]
"""Renders a problem as the answer to the request with the given id."""


class _OAuthError(msgspec.Struct, frozen=True):
    error: str
    error_description: str
    reason: str
    hint: str
    request_id: str = msgspec.field(name="requestId")


class _Details(msgspec.Struct, frozen=True):
    issues: tuple[Issue, ...]


class _CoordinatorError(_OAuthError, frozen=True, omit_defaults=True):
    details: _Details | None = None


class _ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    reason: str
    hint: str
    request_id: str
    issues: tuple[Issue, ...] = ()


class _AdminProblem(_ProblemDetails, frozen=True, omit_defaults=True, kw_only=True):
    """Problem details, and beside them the members that stock clients of the admin API read."""

    error: str
    error_description: str
    stock_request_id: str = msgspec.field(name="requestId")
    details: _Details | None = None


def render_oauth(problem: Problem, request_id: str) -> Reply:
    """Render for the STS and the Gateway."""
    meaning = MEANINGS[problem.reason]
    answer = _answer(problem, meaning.oauth)
    body = _OAuthError(
        error=answer.code,
        error_description=_description(problem, meaning),
        reason=problem.reason,
        hint=meaning.advice,
        request_id=request_id,
    )
    return Reply(
        answer.status,
        (JSON, *_headers(problem, meaning, answer, request_id)),
        _encode(body),
    )


def render_coordinator(problem: Problem, request_id: str) -> Reply:
    """Render for the Coordinator; `details.issues` names what is wrong with a body."""
    meaning = MEANINGS[problem.reason]
    answer = _answer(problem, meaning.coordinator)
    body = _CoordinatorError(
        error=answer.code,
        error_description=_description(problem, meaning),
        reason=problem.reason,
        hint=meaning.advice,
        request_id=request_id,
        details=_Details(problem.issues) if problem.issues else None,
    )
    return Reply(
        answer.status,
        (JSON, *_headers(problem, meaning, answer, request_id)),
        _encode(body),
    )


def render_problem_details(problem: Problem, request_id: str) -> Reply:
    """Render for Control and Audit (RFC 9457)."""
    meaning = MEANINGS[problem.reason]
    answer = _answer(problem, Answer(meaning.problem, meaning.oauth.code))
    body = _ProblemDetails(
        type=f"urn:caracal:problem:{problem.reason}",
        title=meaning.title,
        status=answer.status,
        detail=_description(problem, meaning),
        reason=problem.reason,
        hint=meaning.advice,
        request_id=request_id,
        issues=problem.issues,
    )
    return Reply(
        answer.status,
        (PROBLEM_JSON, *_headers(problem, meaning, answer, request_id)),
        _encode(body),
    )


def render_admin(problem: Problem, request_id: str) -> Reply:
    """Render for Control: one answer for our own clients (RFC 9457) and stock ones (`error`)."""
    meaning = MEANINGS[problem.reason]
    code = ADMIN_CODES.get(problem.reason, meaning.coordinator.code)
    answer = _answer(problem, Answer(meaning.problem, code))
    description = _description(problem, meaning)
    body = _AdminProblem(
        type=f"urn:caracal:problem:{problem.reason}",
        title=meaning.title,
        status=answer.status,
        detail=description,
        reason=problem.reason,
        hint=meaning.advice,
        request_id=request_id,
        issues=problem.issues,
        error=answer.code,
        error_description=description,
        stock_request_id=request_id,
        details=_Details(problem.issues) if problem.issues else None,
    )
    return Reply(
        answer.status,
        (PROBLEM_JSON, *_headers(problem, meaning, answer, request_id)),
        _encode(body),
    )


def problem_of(fault: Exception, request_id: str) -> Problem:
    """Name what an exception means to the client; log what it means to the operator.

    Neither the message of an unexpected exception nor anything a value holds is logged: only its
    type and the lines of code it passed.
    """
    if isinstance(fault, RequestRefused):
        return fault.problem
    if isinstance(fault, Unavailable):
        _log.warning(
            "unavailable", request_id=request_id, reason=fault.reason.value, detail=fault.detail
        )
        return Problem(fault.reason)
    _log.error("internal_error", request_id=request_id, error=type(fault).__name__, at=_at(fault))
    return Problem(Reason.INTERNAL)


def _at(fault: Exception) -> list[str]:
    frames = traceback.extract_tb(fault.__traceback__)[-_FRAMES_LOGGED:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _answer(problem: Problem, plain: Answer) -> Answer:
    return plain if problem.variant is None else problem.variant.value


def _description(problem: Problem, meaning: Meaning) -> str:
    if not problem.detail or problem.reason is Reason.INTERNAL:
        return meaning.title
    detail = problem.detail[:MAX_DETAIL_LENGTH]
    # A lone surrogate, which a client can bring in, has no bytes in JSON.
    return detail if detail.isascii() else detail.encode(errors="backslashreplace").decode()


def _headers(
    problem: Problem, meaning: Meaning, answer: Answer, request_id: str
) -> tuple[Header, ...]:
    headers = [NO_STORE, NO_SNIFF, (b"x-request-id", request_id.encode())]
    if answer.status == _UNAUTHORIZED:
        headers.append((b"www-authenticate", _challenge(problem, meaning, answer)))
    seconds = meaning.retry_after if problem.retry_after is None else problem.retry_after
    if seconds:
        headers.append((b"retry-after", str(seconds).encode()))
    return (*headers, *problem.headers)


def _challenge(problem: Problem, meaning: Meaning, answer: Answer) -> bytes:
    """Say that a bearer token is wanted (RFC 6750 section 3); why the one sent will not do."""
    if problem.reason is Reason.MANDATE_MISSING or answer.code == "access_denied":
        return b'Bearer realm="caracal"'
    return (
        f'Bearer realm="caracal", error="invalid_token", error_description="{meaning.title}"'
    ).encode()
