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
    type: str
    code: str
    request_id: str


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


def refused(
    refusal: Refusal, *, json: bool, request_id: str = "", wait: float | None = None
) -> Answer:
    """A refusal: JSON for programs that ask for it, else a line of text, which git shows too."""
    message = f"caracal: {refusal.message} [{refusal.code}]"
    if json:
        error = _Error(message, "caracal_refused", refusal.code, request_id)
        body, kind = msgspec.json.encode(_Body(error)), "application/json"
    else:
        body, kind = f"{message}\n".encode(), "text/plain; charset=utf-8"
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    if request_id:
        headers.append(("X-Request-Id", request_id))
    if wait is not None:
        headers.append(("Retry-After", str(round(wait))))
    return Answer(refusal.status, tuple(headers), body)


def refused_by_caracal(error: CaracalError, *, json: bool) -> Answer:
    """What the STS or the Gateway refused; 403 unless the request is wrong or may succeed later."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), _FORBIDDEN)
    refusal = Refusal(status, error.code, str(error))
    return refused(refusal, json=json, request_id=error.request_id, wait=error.retry_after)


def wants_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"accept", b"content-type") and b"json" in value for name, value in headers)
