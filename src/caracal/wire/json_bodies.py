"""JSON request bodies, decoded into a shape or refused with the member at fault."""

import re
from typing import Any, TypeVar

import msgspec

from caracal.authority.identifiers import Id, InvalidIdentifier, parse_id
from caracal.wire.errors import WireError

Shape = TypeVar("Shape")

MAX_SECONDS = 86_400
_AT = re.compile(r" - at `(?:key in )?\$?\.?(.*)`$")
_MAX_SHOWN = 200


def decode(body: bytes, shape: type[Shape]) -> Shape:
    """Decode `body` as `shape`.

    Raises:
        WireError: with the code `invalid_body` and the member at fault.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        member, problem = explain(error)
        raise refused(member, problem) from None
    except (ValueError, RecursionError):
        raise refused("", "the body is not JSON") from None


def explain(error: msgspec.ValidationError) -> tuple[str, str]:
    """The member that a validation error is about, and what is wrong with it."""
    text = str(error)
    at = _AT.search(text)
    member = at[1] if at is not None else ""
    problem = text if at is None else text[: at.start()]
    return member[:_MAX_SHOWN], problem[:_MAX_SHOWN]


def read_id(kind: type[Id], member: str, text: str) -> Id:
    try:
        return parse_id(kind, text)
    except InvalidIdentifier as error:
        raise refused(member, str(error)) from None


def read_optional_id(kind: type[Id], member: str, text: str | None) -> Id | None:
    return None if text is None else read_id(kind, member, text)


def refused(member: str, problem: str, code: str = "invalid_body") -> WireError:
    description = f"{member}: {problem}" if member else problem
    return WireError(description, code=code, field=member)


def render_page(items: list[Any], next_cursor: str | None) -> bytes:
    """A page of a list: `next_cursor` is null on the last one."""
    return msgspec.json.encode({"items": items, "next_cursor": next_cursor})
