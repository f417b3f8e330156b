"""What the proxy answers itself, so that whoever reads it knows who said no, why, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from caracal.run.routes import Refusal
from caracal.wire.calls.refusals import (
    CaracalError,
    InvalidRequest,
    ServiceUnavailable,
    UnexpectedAnswer,
    Unreachable,
)

_FORBIDDEN: Final = 403
_STATUSES: Final = (
    (ServiceUnavailable, 503),
    (Unreachable, 502),
    (UnexpectedAnswer, 502),
    (InvalidRequest, 400),
)


class _Error(msgspec.Struct):
    """The members that clients of models show."""

    message: str
    code: str
    request_id: str = ""
    type: str = "caracal_refused"


class _Body(msgspec.Struct):
    error: _Error
    type: str = "error"


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal as it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def unproven() -> Answer:
    refusal = Refusal(407, "credential_missing", "this proxy is for one program only")
    answer = refused(refusal, json=False)
    challenge = ("Proxy-Authenticate", 'Basic realm="caracal run"')
    return Answer(answer.status, (*answer.headers, challenge), answer.body)


def refused(refusal: Refusal, *, json: bool) -> Answer:
    """A refusal: JSON for programs that ask for it, else a line of text."""
    message = f"{refusal.message} [{refusal.code}]"
    return _answer(refusal.status, _Error(f"caracal: {message}", refusal.code), (), json=json)


def refused_by_caracal(error: CaracalError, *, json: bool) -> Answer:
    """What the STS or the Gateway refused; 403 unless the request is wrong or may succeed later."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), _FORBIDDEN)
    more = []
    if error.request_id:
        more.append(("X-Request-Id", error.request_id))
    if error.retry_after is not None:
        more.append(("Retry-After", str(round(error.retry_after))))
    told = _Error(f"caracal: {error}", error.code, error.request_id)
    return _answer(status, told, tuple(more), json=json)


def _answer(status: int, error: _Error, more: tuple[tuple[str, str], ...], *, json: bool) -> Answer:
    if json:
        body, kind = msgspec.json.encode(_Body(error)), "application/json"
    else:
        body, kind = f"{error.message}\n".encode(), "text/plain; charset=utf-8"
    headers = (("Content-Type", kind), ("Content-Length", str(len(body))), *more)
    return Answer(status, headers, body)


def wants_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"accept", b"content-type") and b"json" in value for name, value in headers)
