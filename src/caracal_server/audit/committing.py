"""What an entry commits to instead of saying it: who a person is, and what an operator set besides.

Services hand over plain entries. Here the values leave them, before anything is hashed or stored.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from caracal.authority.events import Entry, Kind
from caracal.authority.outcomes import Reason
from caracal.authority.subjects import User
from caracal.evidence.commitments import SALT_BYTES, Openings, commit, make_opening
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import Committable, StoredOpenings

_CODES: Final = frozenset(Reason)
_SPOKEN: Final = frozenset(
    {
        Kind.KEY_ROTATE,
        Kind.SERVICE_START,
        Kind.EVIDENCE_SHRED,
        Kind.EVIDENCE_REDACT,
        Kind.SHARD_CHECKPOINT,
    }
)
"""Their `detail` is what others go by: it names a key, the release, or what was erased."""

_PSEUDONYM_BYTES: Final = 16


class Committed(msgspec.Struct, frozen=True):
    """What opens the commitments of an entry that has no place yet."""

    openings: Openings
    person: User | None
    pseudonym: str

    def at(self, index: int, entry: Entry) -> StoredOpenings:
        """The same, of the entry at that place."""
        return StoredOpenings(index, entry.at, self.openings, self.person, self.pseudonym)


@dataclass(frozen=True, slots=True)
class Committer:
    """Takes values out of entries and puts commitments in their place."""

    entropy: Entropy
    further: frozenset[Committable] = field(default=frozenset())

    def __call__(self, entry: Entry) -> tuple[Entry, Committed | None]:
        """The entry as it is recorded, and what opens it; `None` where it commits to nothing.

        Raises:
            ValueError: a value holds a lone surrogate.
        """
        if not (entry.subject_issuer or self.further or entry.committed):
            return entry, None
        person, values = _about(entry)
        for one in self.further:
            value = getattr(entry, one.value)
            if value and not (one is Committable.DETAIL and entry.kind in _SPOKEN):
                values[one.value] = value
        changes: dict[str, object] = dict.fromkeys(values, "")
        committed: dict[str, str] = {}
        openings: Openings = {}
        for name, value in values.items():
            salt = self.entropy.token_bytes(SALT_BYTES)
            committed[name] = commit(salt, value)
            openings[name] = make_opening(salt, value)
        # Whatever a service says it committed to, it did not.
        recorded = msgspec.structs.replace(entry, committed=committed, **changes)
        if not openings:
            return recorded, None
        pseudonym = self.entropy.token_bytes(_PSEUDONYM_BYTES).hex() if person else ""
        return recorded, Committed(openings, person, pseudonym)


def _about(entry: Entry) -> tuple[User | None, dict[str, str]]:
    """The person an entry is about, and the fields that say who that is."""
    if not entry.subject_issuer:
        return None, {}
    naming = "target" if entry.kind is Kind.SUBJECT_REVOKE else "subject"
    name = getattr(entry, naming)
    values = {naming: name, "subject_issuer": entry.subject_issuer}
    if not name:
        return None, {"subject_issuer": entry.subject_issuer}
    if name in entry.detail:
        values["detail"] = entry.detail
    if name in entry.reason and entry.reason not in _CODES:
        values["reason"] = entry.reason
    return User(entry.subject_issuer, name), values
