"""Which requirements hold for a path: the longest prefix decides, on whole segments."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from caracal.authority.outcomes import Reason
from caracal.verify.refusals import Code, NotVerified
from caracal.wire.errors import WireError
from caracal.wire.paths import parse_target

V = TypeVar("V")

_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@]+)+|/")
_PATH_CHARACTERS: Final = "/-._~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class Public:
    """Where no mandate is asked for."""


PUBLIC: Final = Public()


class Routes(Generic[V]):
    """A table of prefixes over what holds everywhere else."""

    def __init__(self, everywhere: V, routes: Mapping[str, V], public: Iterable[str]) -> None:
        """Build the table.

        Raises:
            TypeError: `public` is one text instead of several.
            ValueError: a prefix does not start with `/`, ends with one, could be read in two ways, or
                is given twice.
        """
        if isinstance(public, str):
            raise TypeError("public: a list of prefixes, not one text")
        open_ones = tuple(public)
        for prefix in (*routes, *open_ones):
            dots = {".", ".."} & set(prefix.split("/"))
            if _PREFIX.fullmatch(prefix) is None or dots:
                raise ValueError(f"{prefix!r}: a prefix is / or like /a/b, in plain characters")
        if len(set(open_ones) | set(routes)) != len(open_ones) + len(routes):
            raise ValueError("a prefix is given twice")
        table: dict[str, V | Public] = {"/": everywhere, **routes}
        table |= dict.fromkeys(open_ones, PUBLIC)
        self._table = table

    def at(self, path: str) -> V | Public:
        """What holds at a path that `proven` let through."""
        table, prefix = self._table, path
        while prefix:
            found = table.get(prefix)
            if found is not None:
                return found
            prefix = prefix.rpartition("/")[0]
        return table["/"]


def proven(path: str, raw: bytes | None) -> None:
    """Let a path through that means the same to whoever reads it, however often they decode it.

    Args:
        path: as the application sees it, decoded once.
        raw: as it was received, when the server tells.

    Raises:
        NotVerified: with `invalid_request`.
    """
    try:
        parse_target(quote(path, safe=_PATH_CHARACTERS).encode(), b"")
        if raw is not None:
            parse_target(raw, b"")
    except (WireError, UnicodeEncodeError):
        raise NotVerified(
            Code.INVALID_REQUEST,
            "the path has dot segments, empty segments, or characters that some decode twice",
            reason=Reason.PATH_UNSAFE,
        ) from None


def below(root: str, path: str) -> str:
    """The path that an application mounted at `root` routes by."""
    root = root.rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path
