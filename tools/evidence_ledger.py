"""Hold entries to what was released: no tag and no field is removed, reused or given another form.

Usage: python -m tools.evidence_ledger    (adds what is new to the ledger and to the copy of it)
"""

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from caracal.authority.events import CallError, Entry, Kind, Verdict
from tools.repository import ROOT

LEDGER = ROOT / "docs" / "schema" / "evidence-tags.json"
COPY = ROOT / "assurance" / "evidence_tags.json"
"""What is taken out of the ledger is still in here."""

Ledger = Mapping[str, Mapping[str, str]]


def current() -> Ledger:
    """What the code writes: every tag by its name in the code, every field by its type."""
    return {
        "errors": _tags(CallError),
        "fields": {one.name: _form(one.type) for one in msgspec.structs.fields(Entry)},
        "kinds": _tags(Kind),
        "verdicts": _tags(Verdict),
    }


def differences(released: Ledger, found: Ledger) -> list[str]:
    """What breaks a promise, and what nobody has promised yet."""
    wrong: list[str] = []
    for part in sorted({*released, *found}):
        before, now = released.get(part, {}), found.get(part, {})
        for name in sorted({*before, *now}):
            if name not in now:
                wrong.append(f"{part}: {name} was released and is gone")
            elif name not in before:
                wrong.append(f"{part}: {name} is new; python -m tools.evidence_ledger adds it")
            elif before[name] != now[name]:
                wrong.append(f"{part}: {name} was {before[name]} and is {now[name]}")
    return wrong


def read(path: Path = LEDGER) -> Ledger:
    """The ledger as it is committed."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str]])


def main() -> int:
    """Add what is new; what is gone or changed stays an error."""
    found = current()
    wrong: list[str] = []
    for path in (LEDGER, COPY):
        released = read(path) if path.exists() else {}
        merged = {part: {**rows, **released.get(part, {})} for part, rows in found.items()}
        path.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        wrong += [one for one in differences(merged, found) if one not in wrong]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


def _tags(kinds: type[StrEnum]) -> dict[str, str]:
    return {one.value: one.name for one in kinds if one.value}


def _form(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


if __name__ == "__main__":
    sys.exit(main())
