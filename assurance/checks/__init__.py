"""Evidence: each module holds the checks of one subject.

A check is a function of the repository's root that answers what is wrong, one sentence each, and nothing
when the claim holds. Its docstring's first line says what it proves and stands on the page. It reads
the tree it is given, never the one it was imported from, so that a planted violation can be shown to it.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

Check = Callable[[Path], Sequence[str]]


class NotRunHere(Exception):
    """This machine lacks what a check needs; the message says what, and the table shows it."""


def find(name: str) -> Check:
    """Look a check up by `module.function`.

    Raises:
        LookupError: there is none of that name.
    """
    module, _, function = name.partition(".")
    try:
        check: Check = getattr(import_module(f"{__name__}.{module}"), function)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"there is no check named {name}: {error}") from None
    return check


def proves(name: str) -> str:
    """What a check proves, in its own words."""
    return (find(name).__doc__ or "").strip().partition("\n")[0]
