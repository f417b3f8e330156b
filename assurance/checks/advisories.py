"""Known vulnerabilities of what is locked, from data that are on this machine."""

import os
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from assurance.advisories import MAX_AGE, age_of, hits, ignored, judge, wrong_with
from assurance.checks import NotRunHere
from assurance.locks import LockFault, Pin
from assurance.osv import AdvisoryFault, read

DATA = "CARACAL_ADVISORY_DATA"
KNOWN_CASES = Path("tests/assurance/advisories")


def no_locked_version_is_affected(root: Path) -> Sequence[str]:
    """No locked version is one that a published advisory, at most three days old, is about."""
    named = os.environ.get(DATA)
    if not named:
        raise NotRunHere(f"there is no advisory data: {DATA} names a folder or zip of OSV files")
    now = datetime.now(UTC)
    try:
        advisories = read(Path(named))
        age = age_of(advisories, now)
        wrong, _ = judge(root, advisories, now)
    except (AdvisoryFault, LockFault) as fault:
        return [str(fault)]
    if age > MAX_AGE:
        wrong.append(f"the advisory data are {age.days} days old, and at most {MAX_AGE.days} count")
    return wrong


def the_matcher_knows_its_cases(root: Path) -> Sequence[str]:
    """The matcher finds each known case of affected versions, and none of the unaffected ones."""
    folder = root / KNOWN_CASES
    try:
        advisories = read(folder)
        cases = tomllib.loads((folder / "cases.toml").read_text())
    except (AdvisoryFault, OSError, tomllib.TOMLDecodeError) as fault:
        return [str(fault)]
    wrong = []
    for case, expected in cases.items():
        name, _, version = case.partition("==")
        pin = Pin("case", name, version, "", 1)
        found = sorted({hit.advisory for hit in hits([pin], advisories)})
        if found != sorted(expected):
            wrong.append(f"{case}: expected {expected}, found {found}")
    return wrong or ([] if any(cases.values()) else ["no case expects a hit"])


def ignored_advisories_expire(root: Path) -> Sequence[str]:
    """Every ignored advisory has a reason, and a day, at most 90 days ahead, when it counts again."""
    today = datetime.now(UTC).date()
    try:
        return [text for entry in ignored(root) for text in wrong_with(entry, today)]
    except AdvisoryFault as fault:
        return [str(fault)]
