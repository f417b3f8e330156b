"""Whose a connection is, as Linux tells: who reads a credential in a command line is not served for it."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Both: a socket of IPv6 reaches 127.0.0.1 as well."""
_LOCAL, _REMOTE, _STATE, _USER = 1, 2, 3, 7
_LOOPBACK: Final = ("0100007F", "7F000001")
"""As machines of either byte order write it."""
_FORGOTTEN: Final = "06"
"""TIME_WAIT: of nobody any more."""


def is_from(user: int, near: int, far: int) -> bool:
    """Whether a user made a connection on loopback; taken for granted where the system does not tell.

    Args:
        user: the id of the user.
        near: the port that it was accepted on.
        far: the port that it comes from.
    """
    tables = []
    for table in TABLES:
        # Without IPv6 there is one table, and elsewhere than on Linux none.
        with contextlib.suppress(OSError):
            tables.append(table.read_text(encoding="ascii"))
    return not tables or set(makers(tables, near, far)) == {user}


def makers(tables: Iterable[str], near: int, far: int) -> Iterator[int]:
    """The users behind connections from one port to another of 127.0.0.1, as proc_net_tcp(5) lists them."""
    from_there = f":{far:04X}"
    to_here = tuple(f"{address}:{near:04X}" for address in _LOOPBACK)
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if len(fields) <= _USER or fields[_STATE] == _FORGOTTEN:
                continue
            if fields[_LOCAL].endswith(from_there) and fields[_REMOTE].endswith(to_here):
                yield int(fields[_USER])
