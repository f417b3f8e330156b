"""Reading requests: their id, their body within bounds, their JSON and query as typed values."""

import asyncio
import re
from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from caracal.authority.outcomes import Reason
from caracal_server.ports.entropy import Entropy
from caracal_server.web.asgi import Header, Receive, Scope
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Issue, Problem, RequestRefused

MAX_JSON_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""How long a body may take to arrive: whoever sends none must not hold a connection for ever."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.\-:]{1,128}")
_KEY = "caracal.request_id"
_RECEIPTS = "caracal.receipts"
_AT = re.compile(r" - at `(.+)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")

Shape = TypeVar("Shape")


def request_id(headers: Iterable[Header], entropy: Entropy) -> str:
    """Return the id the client gave in one valid X-Request-Id header, else a fresh one.

    Valid are 1 to 128 of `A-Z a-z 0-9 _ . - :`; anything else is not echoed anywhere.
    """
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return entropy.new_id()


def assign_request_id(scope: Scope, entropy: Entropy) -> str:
    """Give a request its id; `request_id_of` reads it back."""
    found = request_id(scope["headers"], entropy)
    scope[_KEY] = found
    scope[_RECEIPTS] = []
    return found


def request_id_of(request: Request) -> str:
    """Return the id that the edge gave this request."""
    return str(request.scope[_KEY])


def receipts_of(request: Request) -> list[str]:
    """References to entries that the answer rests on: whoever records one adds it, the last is answered."""
    receipts: list[str] = request.scope[_RECEIPTS]
    return receipts


async def read_body(
    receive: Receive, headers: Iterable[Header], limit: int, *, seconds: float = BODY_SECONDS
) -> bytes:
    """Read a whole body of at most `limit` bytes; one that announces more is not read at all.

    Raises:
        RequestRefused: it is larger, takes longer than `seconds`, or the client went away.
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    if any(value.isdigit() and int(value) > limit for value in lengths):
        raise RequestRefused(_too_large(limit))
    try:
        async with asyncio.timeout(seconds):
            return await _whole_body(receive, limit)
    except TimeoutError:
        late = f"the body did not arrive within {seconds:.0f} s"
        problem = Problem(Reason.REQUEST_MALFORMED, late, headers=((b"connection", b"close"),))
        raise RequestRefused(problem) from None


async def _whole_body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    room = limit
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefused(Problem(Reason.CLIENT_GONE))
        chunk = message.get("body", b"")
        room -= len(chunk)
        if room < 0:
            raise RequestRefused(_too_large(limit))
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def read_json(request: Request, shape: type[Shape], limit: int = MAX_JSON_BYTES) -> Shape:
    """Read a body as a JSON value of type `shape`.

    Raises:
        RequestRefused: it is too large, not JSON, or not of that shape; the issues name the fields.
    """
    _require_json(request)
    body = await read_body(request.receive, request.scope["headers"], limit)
    return decode_json(body, shape)


async def read_optional_json(
    request: Request, shape: type[Shape], limit: int = MAX_JSON_BYTES
) -> Shape | None:
    """Read a body as `read_json` does; `None` when there is none.

    Raises:
        RequestRefused: there is one, and it will not do.
    """
    body = await read_body(request.receive, request.scope["headers"], limit)
    if not body:
        return None
    _require_json(request)
    return decode_json(body, shape)


def decode_json(body: bytes, shape: type[Shape]) -> Shape:
    """Decode JSON into a value of type `shape`.

    Raises:
        RequestRefused: it is not JSON, or not of that shape; the issue names the field.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as fault:
        raise RequestRefused(_invalid(str(fault), Variant.INVALID_BODY)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = Problem(
            Reason.REQUEST_MALFORMED, "the body is not JSON", variant=Variant.INVALID_BODY
        )
        raise RequestRefused(problem) from None


def read_query(request: Request, shape: type[Shape]) -> Shape:
    """Read the query string into a value of type `shape`, its numbers and instants parsed.

    Raises:
        RequestRefused: a key is repeated, unknown to a strict `shape`, or its value is not valid.
    """
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) != len(pairs):
        problem = Problem(
            Reason.REQUEST_MALFORMED,
            "a query parameter may appear once",
            variant=Variant.INVALID_QUERY,
        )
        raise RequestRefused(problem)
    try:
        return msgspec.convert(query, shape, strict=False)
    except msgspec.ValidationError as fault:
        raise RequestRefused(_invalid(str(fault), Variant.INVALID_QUERY)) from None


def refuse_params(detail: str) -> RequestRefused:
    """What to raise for a path whose parameters are not valid."""
    return RequestRefused(Problem(Reason.REQUEST_MALFORMED, detail, variant=Variant.INVALID_PARAMS))


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if media_type.lower() != "application/json":
        raise RequestRefused(
            Problem(
                Reason.REQUEST_MALFORMED,
                "send the body as application/json",
                variant=Variant.INVALID_BODY,
            )
        )


def _invalid(message: str, variant: Variant) -> Problem:
    found = _AT.search(message)
    path = _path(found[1]) if found else ()
    what = message[: found.start()] if found else message
    where = f" at {found[1]}" if found else ""
    return Problem(
        Reason.REQUEST_MALFORMED,
        what[:1].lower() + what[1:] + where,
        variant=variant,
        issues=(Issue(path, what),),
    )


def _path(text: str) -> tuple[str | int, ...]:
    steps = _STEP.findall(text)
    return tuple(int(index) if index else name or each for name, index, each in steps)


def _too_large(limit: int) -> Problem:
    return Problem(Reason.BODY_TOO_LARGE, f"the body has at most {limit} bytes")
