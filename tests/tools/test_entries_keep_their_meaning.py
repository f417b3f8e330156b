"""What was released of entries stays: a planted removal, reuse or other form is found."""

import pytest

from tools.entry_fields import FIELDS, table
from tools.evidence_ledger import current, differences, read
from tools.generate_schemas import ENTRY, render
from tools.repository import ROOT

PAGE = ROOT / "docs" / "evidence.md"


def test_nothing_that_was_released_is_gone_or_means_something_else():
    assert differences(read(), current()) == []


@pytest.mark.parametrize(
    ("part", "name", "now", "said"),
    [
        ("kinds", "call", None, "call was released and is gone"),
        ("kinds", "call", "KILL", "call was CALL and is KILL"),
        ("fields", "at", None, "at was released and is gone"),
        ("fields", "at", "str", "at was int and is str"),
        ("errors", "reset", "TIMEOUT_IDLE", "reset was RESET and is TIMEOUT_IDLE"),
        ("fields", "mood", "str", "mood is new"),
    ],
)
def test_a_planted_change_is_found(part, name, now, said):
    changed = {key: dict(rows) for key, rows in read().items()}
    if now is None:
        del changed[part][name]
    else:
        changed[part][name] = now
    [found] = differences(read(), changed)
    assert found.startswith(f"{part}: {said}")


def test_the_schema_and_the_page_are_current():
    assert ENTRY.read_text(encoding="utf-8") == render()[ENTRY], "python -m tools.generate_schemas"
    assert table() in PAGE.read_text(encoding="utf-8"), "the table of tools.entry_fields"
    assert set(FIELDS) == set(current()["fields"])
