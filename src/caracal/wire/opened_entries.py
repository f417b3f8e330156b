"""Entries with their commitments opened: what they would say if they had said it."""

from collections.abc import Mapping

import msgspec

from caracal.authority.events import Entry
from caracal.evidence.commitments import Opening, verify_openings
from caracal.evidence.errors import EvidenceError


def opened_entry(entry: Entry, openings: Mapping[str, Opening]) -> Entry:
    """Put the values back that `openings` open; what nothing opens stays a commitment.

    Raises:
        EvidenceError: an opening opens no commitment of the entry, or there is no such field.
    """
    if not openings:
        return entry
    verify_openings(openings, entry.committed)
    closed = {name: made for name, made in entry.committed.items() if name not in openings}
    values = {name: one.value for name, one in openings.items()}
    if any(type(getattr(entry, name, None)) is not str for name in values):
        raise EvidenceError("a commitment is of a field that entries do not have")
    return msgspec.structs.replace(entry, committed=closed, **values)
