"""Lists, whole or a page at a time."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from starlette.requests import Request

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import read_query

Item = TypeVar("Item")


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cursor` is the `next_cursor` of the page before; without `limit` everything is answered.

    `status` is `active` or `archived`; only zones are archived, the rest is gone once it is removed.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] | None = None
    cursor: str = ""
    status: str = "active"


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """`next_cursor` is null on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


def page_of(request: Request, items: Sequence[Item], id_of: Callable[[Item], str]) -> Page[Item]:
    """The page that a request asks for, newest first.

    Raises:
        RequestRefused: a parameter is unknown or not valid.
    """
    asked = list_query(request)
    return cut(asked, items if asked.status == "active" else (), id_of)


def list_query(request: Request) -> ListQuery:
    """What a request asks of a list.

    Raises:
        RequestRefused: a parameter is unknown or not valid.
    """
    asked = read_query(request, ListQuery)
    if asked.status not in {"active", "archived"}:
        raise _invalid("status is active or archived", Variant.INVALID_QUERY)
    return asked


def cut(asked: ListQuery, items: Sequence[Item], id_of: Callable[[Item], str]) -> Page[Item]:
    """The page of `items` that is asked for, newest first.

    Raises:
        RequestRefused: the cursor is none.
    """
    after = _read_cursor(asked.cursor)
    found = sorted(items, key=id_of, reverse=True)
    if after is not None:
        found = [item for item in found if id_of(item) < after]
    if asked.limit is None or len(found) <= asked.limit:
        return Page(tuple(found))
    shown = tuple(found[: asked.limit])
    return Page(shown, base64.urlsafe_b64encode(id_of(shown[-1]).encode()).decode())


def _read_cursor(text: str) -> str | None:
    if not text:
        return None
    try:
        return base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise _invalid("the cursor is not one of this list", Variant.INVALID_CURSOR) from None


def _invalid(detail: str, variant: Variant) -> RequestRefused:
    return RequestRefused(Problem(Reason.REQUEST_MALFORMED, detail, variant))
