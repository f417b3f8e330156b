"""Whose a connection is, as Linux tells: who reads a credential in a command line is not served for it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Both: a socket of IPv6 reaches 127.0.0.1 as well."""
_LOCAL, _REMOTE, _STATE, _USER = 1, 2, 3, 7
_FORGOTTEN: Final = "06"
"""TIME_WAIT: of nobody any more."""


def is_from(user: int, near: int, far: int) -> bool:
    """Whether a user made a connection on loopback; taken for granted where the system does not tell.

    Args:
        user: the id of the user.
        near: the port that it was accepted on.
        far: the port that it comes from.
    """
    try:
        tables = [table.read_text(encoding="ascii") for table in TABLES]
    except OSError:
        return True
    return set(makers(tables, near, far)) == {user}


def makers(tables: Iterable[str], near: int, far: int) -> Iterator[int]:
    """The users behind connections from one port to another, as proc_net_tcp(5) lists them."""
    ends = f":{far:04X}", f":{near:04X}"
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if len(fields) <= _USER or fields[_STATE] == _FORGOTTEN:
                continue
            if fields[_LOCAL].endswith(ends[0]) and fields[_REMOTE].endswith(ends[1]):
                yield int(fields[_USER])
