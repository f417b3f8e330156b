"""Entries: what they may say is published, and what was published keeps its meaning."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jsonschema

from assurance import named_tests

LEDGER: Final = "docs/schema/evidence-tags.json"
COPY: Final = "assurance/evidence_tags.json"
SCHEMA: Final = "docs/schema/evidence-entry.json"
PAGE: Final = "docs/evidence.md"
OUTSIDE: Final = "tests/scenarios/test_entries_say_who_what_why_and_when.py"
FROM_OUTSIDE: Final = (
    f"{OUTSIDE}::test_a_call_says_who_what_why_when_and_how_it_ended",
    f"{OUTSIDE}::test_every_decision_points_at_the_start_and_so_at_code_settings_and_policies",
    f"{OUTSIDE}::test_a_policy_that_changes_later_is_told_by_the_entry_of_its_change",
    f"{OUTSIDE}::test_every_entry_is_as_the_schema_says",
)
_SECONDS: Final = 60
_TOLD: Final = """
import json, sys
sys.path[:0] = sys.argv[1:]
import msgspec
from caracal.authority.events import CallError, Entry, Kind, Verdict
from tools.entry_fields import table
from tools.evidence_ledger import current
from tools.generate_schemas import entry_schema
said = {"format": 1, "zone": "z", "at": 1, "request": "r"}
made = [Entry(kind=kind, **said) for kind in Kind]
made += [Entry(kind=Kind.CALL, verdict=verdict, **said) for verdict in Verdict]
made += [Entry(kind=Kind.CALL_RESULT, error=error, **said) for error in CallError]
print(json.dumps({
    "tags": current(),
    "schema": entry_schema(),
    "table": table(),
    "entries": [json.loads(msgspec.json.encode(one)) for one in made],
}))
"""

_Tags = Mapping[str, Mapping[str, str]]


def tags_and_fields_keep_their_meaning(root: Path) -> Sequence[str]:
    """No tag and no field of an entry that ever stood in the ledger is gone, renamed or of another form."""
    told = _told(root)
    if isinstance(told, str):
        return [told]
    ledger: _Tags = json.loads((root / LEDGER).read_text())
    kept: _Tags = json.loads((root / COPY).read_text())
    return [
        *_changed(kept, ledger, "the register's copy", LEDGER),
        *_changed(ledger, kept, LEDGER, "the register's copy"),
        *_changed(ledger, told["tags"], LEDGER, "the code"),
        *_changed(told["tags"], ledger, "the code", LEDGER),
    ]


def entries_are_as_the_schema_says(root: Path) -> Sequence[str]:
    """The schema and the table of fields are the code's; entries of every kind validate, and no others."""
    told = _told(root)
    if isinstance(told, str):
        return [told]
    wrong = (
        []
        if told["table"] in (root / PAGE).read_text()
        else [f"{PAGE}: its table is not the code's"]
    )
    schema = json.loads((root / SCHEMA).read_text())
    if schema != told["schema"]:
        wrong.append(f"{SCHEMA} is not what the code writes")
    check = jsonschema.Draft202012Validator(schema)
    for entry in told["entries"]:
        wrong += [
            f"{SCHEMA}: refuses {entry}: {fault.message}" for fault in check.iter_errors(entry)
        ]
    known = told["entries"][0]
    for unknown in ({"kind": "made up"}, {"mood": "x"}, {"at": "now"}):
        if check.is_valid(known | unknown):
            wrong.append(f"{SCHEMA}: accepts {unknown}")
    return wrong


def decisions_say_who_what_why_and_when(root: Path) -> Sequence[str]:
    """Tests read from outside what calls leave behind: who, what, why, when, and by which code."""
    return named_tests.missing_or_not_run(root, FROM_OUTSIDE)


def _told(root: Path) -> dict[str, Any] | str:
    """What the tree's own code says, or why it says nothing."""
    ran = subprocess.run(
        [sys.executable, "-c", _TOLD, str(root / "src"), str(root)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if ran.returncode:
        return f"the code does not say what it writes: {ran.stderr.strip().rpartition(chr(10))[2]}"
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def _changed(before: _Tags, now: _Tags, there: str, here: str) -> list[str]:
    return [
        f"{part}: {name} is {means} in {there}, and {now.get(part, {}).get(name, 'nothing')} in {here}"
        for part, rows in before.items()
        for name, means in rows.items()
        if now.get(part, {}).get(name) != means
    ]
