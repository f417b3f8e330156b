"""Suppressed findings: each says why it does not count, and for how long."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import yaml

FILE: Final = Path(".trivyignore.yaml")
LONGEST: Final = timedelta(days=90)
_FIELDS = frozenset({"id", "statement", "expired_at", "paths", "purls"})
_SHORTEST_REASON = 20


def faults(text: str, today: date) -> Iterator[str]:
    """Yield what is wrong with a file of suppressions, on a day."""
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (BaseLoader makes no objects)
        entries = content["vulnerabilities"]
    except (yaml.YAMLError, KeyError, TypeError):
        yield f"{FILE} is not a list of vulnerabilities"
        return
    if set(content) != {"vulnerabilities"}:
        yield f"{FILE} suppresses more than vulnerabilities"
    for entry in entries:
        if not isinstance(entry, Mapping) or not entry.get("id"):
            yield f"{FILE} has an entry without an id"
            continue
        yield from (f"{FILE}: {entry['id']} {text}" for text in _wrong_with(entry, today))


def _wrong_with(entry: Mapping[str, str], today: date) -> Iterator[str]:
    for unknown in sorted(set(entry) - _FIELDS):
        yield f"has a field {unknown}, which means nothing"
    if len(str(entry.get("statement", "")).strip()) < _SHORTEST_REASON:
        yield "does not say why it does not count"
    try:
        ends = date.fromisoformat(entry.get("expired_at", ""))
    except (TypeError, ValueError):
        yield "does not say until when"
        return
    if ends < today:
        yield f"has expired on {ends}"
    if ends - today > LONGEST:
        yield f"holds until {ends}, more than {LONGEST.days} days from now"
