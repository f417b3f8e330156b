"""An opened entry says what it would have said; what opens nothing is refused."""

import msgspec
import pytest

from caracal.authority.events import Entry, Kind
from caracal.evidence.commitments import commit, make_opening
from caracal.evidence.errors import EvidenceError
from caracal.wire.opened_entries import opened_entry

SALT, OTHER = bytes(32), bytes(range(32))
PLAIN = Entry(format=1, kind=Kind.CALL, zone="z", at=1, request="r")
CLOSED = msgspec.structs.replace(
    PLAIN, committed={"subject": commit(SALT, "alice"), "nothing": commit(SALT, "alice")}
)


def test_what_is_opened_is_said_and_what_is_not_stays_a_commitment() -> None:
    opened = opened_entry(CLOSED, {"subject": make_opening(SALT, "alice")})
    assert opened.subject == "alice"
    assert set(opened.committed) == {"nothing"}
    assert opened_entry(CLOSED, {}) is CLOSED


@pytest.mark.parametrize(
    ("field", "salt", "reason"),
    [
        ("subject", OTHER, "does not open"),
        ("detail", SALT, "commits to no 'detail'"),
        ("nothing", SALT, "do not have"),
    ],
)
def test_what_does_not_open_a_field_of_the_entry_is_refused(
    field: str, salt: bytes, reason: str
) -> None:
    with pytest.raises(EvidenceError, match=reason):
        opened_entry(CLOSED, {field: make_opening(salt, "alice")})
