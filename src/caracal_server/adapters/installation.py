"""The installed files of the distribution, held against the RECORD of the wheel they came from.

Source: Binary distribution format, "The .dist-info directory"; Recording installed projects, RECORD.
"""

import base64
import csv
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

import msgspec

DISTRIBUTION: Final = "caracal"
PACKAGES: Final = ("caracal", "caracal_server")
_OWN_CODE: Final = Path(__file__).parents[1]
_MADE_BY_PYTHON: Final = "__pycache__"
_NO_RECORD: Final = "RECORD is missing, or lists nothing of the code"


class State(StrEnum):
    """What the comparison came to."""

    INTACT = "intact"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed.

    Attributes:
        digest: SHA-256 over the installed files of our packages, in hex; the same wherever the same wheel
            is installed. It is what `sha256sum` prints for all of them, sorted by path, hashed again.
        files: how many files that is.
        differences: each file that was changed, is missing or came in addition; sorted.
        why_unknown: why there is nothing to compare with; empty unless `state` is UNKNOWN.
    """

    state: State
    digest: str
    files: int
    differences: tuple[str, ...] = ()
    why_unknown: str = ""

    @property
    def shown(self) -> tuple[str, str, str]:
        """State, digest and detail, for a status."""
        return self.state.value, self.digest, self.detail

    @property
    def detail(self) -> str:
        """In words, what keeps it from being intact; empty when it is."""
        if self.state is State.UNKNOWN:
            return self.why_unknown
        more = len(self.differences) - 1
        rest = f", and {more} more" if more > 0 else ""
        return f"{self.differences[0]}{rest}" if self.differences else ""


class _Folder(msgspec.Struct, frozen=True):
    editable: bool = False


class _Origin(msgspec.Struct, frozen=True):
    dir_info: _Folder = _Folder()


def read_installation(
    running: Path = _OWN_CODE, search: Sequence[str] | None = None
) -> Installation:
    """Hash what is installed, and compare.

    Args:
        running: the folder of the code that runs.
        search: where distributions are looked for; where Python looks for modules when `None`.
    """
    root = running.parent
    present = dict(_present(root))
    digest = _digest(present)
    places = list(sys.path if search is None else search)
    found = next(iter(distributions(name=DISTRIBUTION, path=places)), None)
    if found is None:
        return _unknown(digest, present, "no distribution of that name is installed")
    try:
        recorded = _recorded(found)
    except (ValueError, TypeError, csv.Error):
        return Installation(State.DIFFERENT, digest, len(present), ("RECORD can not be read",))
    listed = any(name.startswith(f"{PACKAGES[0]}/") for name in recorded)
    if not listed and _is_editable(found):
        why = "an editable installation: its files are a working copy's, and no RECORD lists them"
        return _unknown(digest, present, why)
    if not listed:
        return Installation(State.DIFFERENT, digest, len(present), (_NO_RECORD,))
    if not Path(str(found.locate_file(""))).samefile(root):
        difference = f"the code that runs lies in {root}, and not where it is installed"
        return Installation(State.DIFFERENT, digest, len(present), (difference,))
    differences = tuple(sorted(_differences(found, recorded, present)))
    state = State.DIFFERENT if differences else State.INTACT
    return Installation(state, digest, len(present), differences)


def _unknown(digest: str, present: Mapping[str, str], why: str) -> Installation:
    return Installation(State.UNKNOWN, digest, len(present), why_unknown=why)


def _present(root: Path) -> Iterator[tuple[str, str]]:
    """Every file of our packages with its SHA-256 in hex, but for the bytecode that Python writes."""
    for package in PACKAGES:
        for folder, folders, names in os.walk(root / package):
            folders[:] = sorted(name for name in folders if name != _MADE_BY_PYTHON)
            below = Path(folder).relative_to(root).as_posix()
            for name in names:
                yield f"{below}/{name}", _sha256(f"{folder}/{name}")


def _sha256(path: str | Path) -> str:
    """The file's digest; of one that can not be read, what no digest is."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 (of hundreds: a `Path` for each costs too much)
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return "unreadable"


def _digest(present: Mapping[str, str]) -> str:
    lines = (f"{digest}  {name}\n" for name, digest in sorted(present.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _recorded(found: Distribution) -> Mapping[str, str]:
    """What RECORD gives of each file: its SHA-256 as it is written there, or nothing for another hash.

    Raises:
        ValueError, TypeError, csv.Error: it is not a RECORD.
    """
    recorded = {}
    for file in found.files or ():
        known = file.hash if file.hash is not None and file.hash.mode == "sha256" else None
        recorded[file.as_posix()] = known.value if known is not None else ""
    return recorded


def _is_editable(found: Distribution) -> bool:
    """Whether the installer noted that it is one: PEP 610, direct_url.json."""
    try:
        noted = msgspec.json.decode(found.read_text("direct_url.json") or "{}", type=_Origin)
    except (msgspec.DecodeError, ValueError):
        return False
    return noted.dir_info.editable


def _as_recorded(digest: str) -> str:
    try:
        return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")
    except ValueError:
        return digest


def _differences(
    found: Distribution, recorded: Mapping[str, str], present: Mapping[str, str]
) -> Iterator[str]:
    for name, expected in recorded.items():
        ours = name.startswith(tuple(f"{package}/" for package in PACKAGES))
        if f"/{_MADE_BY_PYTHON}/" in name or not (expected or ours):
            continue
        path = Path(str(found.locate_file(name)))
        actual = present.get(name) if ours else _sha256(path) if path.is_file() else None
        if actual is None:
            yield f"{name} is missing"
        elif _as_recorded(actual) != expected:
            yield f"{name} was changed, or can not be read"
    yield from (f"{name} came in addition" for name in present.keys() - recorded.keys())
