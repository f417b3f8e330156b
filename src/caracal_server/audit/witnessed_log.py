"""The log as those who decide see it: where so set, nothing new is decided that nobody else vouches for."""

from dataclasses import dataclass
from typing import Final

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.witnessing import Witnessing
from caracal_server.ports.evidence import Receipt

DECISIONS: Final = frozenset(
    {
        Kind.EXCHANGE,
        Kind.CALL,
        Kind.SESSION_START,
        Kind.SESSION_RESUME,
        Kind.DELEGATION_CREATE,
    }
)
"""What gives somebody authority, or lets it be used. Whatever takes it away is recorded all the same."""


@dataclass(frozen=True, slots=True)
class WitnessedLog:
    """Implements `EvidenceLog`."""

    sequencer: Sequencer
    witnessing: Witnessing

    async def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable.

        Raises:
            Unavailable: it may or may not have been recorded, or it would be a decision in a log whose
                quorum of witnesses is too old; the act must not happen.
        """
        if entry.kind in DECISIONS and entry.verdict is not Verdict.REFUSE:
            zone_id = ZoneId(entry.zone)
            if self.witnessing.refuses(zone_id):
                raise Unavailable(
                    Reason.EVIDENCE_UNWITNESSED, "no quorum of witnesses has cosigned lately"
                )
        return await self.sequencer.append(entry)

    def enqueue(self, entry: Entry) -> None:
        """Record what already happened."""
        self.sequencer.enqueue(entry)
