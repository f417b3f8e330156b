"""The threat model: every threat is tested, says what remains, and has an owner."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests

PAGE: Final = Path("docs/threats.md")
_THREAT: Final = re.compile(r'^\| <a id="t(\d+)"></a>T(\d+) \|(.*)\|$', re.MULTILINE)
_LINK: Final = re.compile(r"\]\(\.\./(tests/[^)#]+)\)")
_OWNER: Final = re.compile(r"^\| (\w+) \| (`[^|]+`) \|$", re.MULTILINE)
_COLUMNS: Final = 5
_LEAST: Final = 20
"""Fewer threats mean that the page was not read as it is written."""


def every_threat_is_tested(root: Path) -> Sequence[str]:
    """Every threat names tests that exist, can fail and are not skipped."""
    wrong = []
    for number, cells in _threats(root):
        tests = _LINK.findall(cells[2]) if len(cells) == _COLUMNS else []
        if not tests:
            wrong.append(f"T{number} names no test")
        for test in tests:
            wrong += [f"T{number}: {found}" for found in named_tests.what_is_wrong(root, test)]
    return [*wrong, *_count(root)]


def every_threat_has_a_rest_and_an_owner(root: Path) -> Sequence[str]:
    """Every threat says what remains and who owns it, and every owner owns code that exists."""
    owners = _owners(root)
    wrong = [
        f"{owner} owns {path}, which is not there"
        for owner, paths in owners.items()
        for path in paths
        if not (root / path).exists()
    ]
    for number, cells in _threats(root):
        if len(cells) != _COLUMNS or not cells[3]:
            wrong.append(f"T{number} does not say what remains")
        if len(cells) != _COLUMNS or cells[4] not in owners:
            wrong.append(f"T{number} has no owner of the list")
    return [*wrong, *_count(root)]


def numbers_are_unique_and_cited_ones_exist(root: Path) -> Sequence[str]:
    """No number stands for two threats, and none that tests cite is missing."""
    numbers = [number for number, _ in _threats(root)]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    cited = {
        (int(number), file.name)
        for file in sorted((root / "tests/adversarial").glob("test_t*.py"))
        for number in re.findall(r"test_t(\d+)_", file.name)
    }
    return [
        *(f"T{number} stands for two threats" for number in twice),
        *(
            f"{name} is of T{number}, which is no threat"
            for number, name in sorted(cited)
            if number not in numbers
        ),
    ]


def _threats(root: Path) -> list[tuple[int, list[str]]]:
    found = _THREAT.findall((root / PAGE).read_text())
    return [
        (int(number), [cell.strip() for cell in cells.split(" | ")]) for _, number, cells in found
    ]


def _owners(root: Path) -> dict[str, list[str]]:
    _, _, section = (root / PAGE).read_text().partition("\n## Owners\n")
    rows = _OWNER.findall(section.partition("\n## ")[0])
    return {owner: re.findall(r"`([^`]+)`", paths) for owner, paths in rows}


def _count(root: Path) -> list[str]:
    count = len(_threats(root))
    return [] if count >= _LEAST else [f"{PAGE} has {count} threats, where there were {_LEAST}"]
