"""Hold every locked version against published advisories, without asking a service.

The data are files in the OSV format, such as the archive of the PyPI ecosystem that osv.dev publishes.
They are downloaded beforehand; their age is printed, and absent, malformed or old data fail the run.
"""

import argparse
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from packaging.version import InvalidVersion, Version

from assurance.locks import LockFault, Pin, pins
from assurance.osv import Advisory, AdvisoryFault, read

IGNORED: Final = Path("osv-scanner.toml")
MAX_AGE: Final = timedelta(days=3)
LONGEST_IGNORED: Final = timedelta(days=90)
SHORTEST_REASON: Final = 20
_SHOWN: Final = 100


class Ignored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An advisory that does not count, for a reason and until a day."""

    id: str
    ignoreUntil: date  # noqa: N815 (OSV-Scanner reads the same file and names it so)
    reason: str


class IgnoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`osv-scanner.toml`, which OSV-Scanner reads too."""

    ignored: tuple[Ignored, ...] = msgspec.field(default=(), name="IgnoredVulns")


class Hit(msgspec.Struct, frozen=True):
    """A locked version that an advisory is about."""

    advisory: str
    aliases: tuple[str, ...]
    name: str
    version: str
    fixed: tuple[str, ...]
    summary: str

    def __str__(self) -> str:
        fixed = f"; fixed in {', '.join(self.fixed)}" if self.fixed else "; no version fixes it"
        known = ", ".join((self.advisory, *self.aliases))
        return f"{self.name} {self.version}: {known}: {self.summary[:_SHOWN]}{fixed}"


def hits(locked: Iterable[Pin], advisories: Sequence[Advisory]) -> Iterator[Hit]:
    """Yield every locked version that an advisory, unless withdrawn, is about.

    Raises:
        AdvisoryFault: a lock holds what is no version.
    """
    versions: dict[str, set[str]] = defaultdict(set)
    for pin in locked:
        versions[pin.name].add(pin.version)
    for advisory in advisories:
        for name, affected in advisory.packages() if advisory.withdrawn is None else ():
            for version in sorted(versions.get(name, ())):
                if affected.includes(_version(name, version)):
                    found = (advisory.id, advisory.aliases, name, version, affected.fixed())
                    yield Hit(*found, advisory.summary)


def _version(name: str, text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise AdvisoryFault(f"{name} is locked at {text!r}, which is no version") from None


def age_of(advisories: Sequence[Advisory], now: datetime) -> timedelta:
    """How old the newest word in the data is.

    Raises:
        AdvisoryFault: it is from the future, so one of the two clocks is wrong.
    """
    age = now - max(advisory.modified for advisory in advisories)
    if age < -timedelta(hours=1):
        raise AdvisoryFault("the advisory data are from the future")
    return max(age, timedelta(0))


def ignored(root: Path) -> tuple[Ignored, ...]:
    """What the tree says does not count; nothing without the file.

    Raises:
        AdvisoryFault: the file is malformed.
    """
    file = root / IGNORED
    if not file.exists():
        return ()
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), IgnoredFile).ignored
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise AdvisoryFault(f"{IGNORED}: {fault}") from None


def wrong_with(entry: Ignored, today: date) -> Iterator[str]:
    """What keeps an entry from counting."""
    if entry.ignoreUntil < today:
        yield f"{IGNORED}: {entry.id} was to be ignored until {entry.ignoreUntil}"
    if entry.ignoreUntil > today + LONGEST_IGNORED:
        yield f"{IGNORED}: {entry.id} is ignored for more than {LONGEST_IGNORED.days} days"
    if len(entry.reason.strip()) < SHORTEST_REASON:
        yield f"{IGNORED}: {entry.id} is ignored without a reason"


def judge(root: Path, advisories: Sequence[Advisory], now: datetime) -> tuple[list[str], list[Hit]]:
    """What is wrong, and the hits that do not count.

    Raises:
        AdvisoryFault, LockFault: nothing can be said.
    """
    entries = ignored(root)
    wrong = [text for entry in entries for text in wrong_with(entry, now.date())]
    in_force = {entry.id for entry in entries if not list(wrong_with(entry, now.date()))}
    left_out = []
    for hit in hits(pins(root), advisories):
        if in_force.isdisjoint((hit.advisory, *hit.aliases)):
            wrong.append(str(hit))
        else:
            left_out.append(hit)
    return wrong, left_out


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m assurance.advisories", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder or zip of OSV files")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--max-age-days", type=float, default=MAX_AGE / timedelta(days=1))
    parser.add_argument(
        "--test-data",
        action="store_true",
        help="the data are made for tests: their age is no matter",
    )
    options = parser.parse_args(arguments)
    now = datetime.now(UTC)
    try:
        advisories = read(options.data)
        age = age_of(advisories, now)
        wrong, left_out = judge(options.root, advisories, now)
        count = len({(pin.name, pin.version) for pin in pins(options.root)})
    except (AdvisoryFault, LockFault) as fault:
        print(f"nothing can be said: {fault}", file=sys.stderr)
        return 2
    days = age / timedelta(days=1)
    print(
        f"{len(advisories)} advisories, the newest {days:.1f} days old, over {count} locked versions"
    )
    for hit in left_out:
        print(f"ignored  {hit}")
    for text in wrong:
        print(f"WRONG    {text}")
    if options.test_data:
        print("test data: this says nothing about what is known today")
    elif days > options.max_age_days:
        print(f"the data are older than {options.max_age_days:g} days, so this says nothing")
        return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
