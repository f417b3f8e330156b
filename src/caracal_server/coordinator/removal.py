"""An application that leaves a zone takes its authority with it."""

from dataclasses import dataclass

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.revocation import AnchorKind, Revocation
from caracal_server.coordinator.commitment import Commitment
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy


@dataclass(frozen=True, slots=True)
class RemoveApplication:
    """Revokes every mandate of an application."""

    clock: Clock
    entropy: Entropy
    graphs: LiveGraphs
    commitment: Commitment

    async def __call__(self, zone_id: ZoneId, application_id: ApplicationId) -> None:
        """Revoke; a zone that has no graph has nothing to revoke.

        Raises:
            Unavailable: it is in force, and not recorded or not stored yet.
        """
        graph = self.graphs.graph(zone_id)
        if graph is None:
            return
        now = self.clock.now()
        revocation = Revocation(AnchorKind.APPLICATION, application_id, now, "application_removed")
        entry = Entry(
            format=ENTRY_FORMAT,
            kind=Kind.SESSION_END,
            zone=zone_id,
            at=self.clock.now_us(),
            request=self.entropy.new_id(),
            application=application_id,
            target=application_id,
            detail="the application was removed from the zone: every mandate of it is revoked",
        )
        change = GraphChange(revocations=(revocation,), epoch=graph.epoch)
        await self.commitment.take(zone_id, change, entry)
