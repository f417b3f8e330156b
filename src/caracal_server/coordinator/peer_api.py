"""What the Coordinator answers to services that run apart."""

from dataclasses import dataclass

from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.coordinator import removal
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.ports.clock import Clock
from caracal_server.ports.peers import ClientSessions, WantedSession
from caracal_server.web.peers.feed import Feed
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.messages import (
    ClientSessionOpened,
    Done,
    Fault,
    RemoveApplication,
    ZoneChange,
    ZoneCounts,
    decode,
)
from caracal_server.web.peers.services import PERMISSIONS, Ask, Service


def graph_feed(graphs: LiveGraphs, clock: Clock, instance: str, bound: float) -> Feed[ZoneChange]:
    """The feed of every zone's graph: a change is in it the moment it is in force."""

    def whole(_service: Service) -> tuple[ZoneChange, ...]:
        found = ((zone_id, graphs.graph(zone_id)) for zone_id in graphs.zones())
        return tuple(ZoneChange(key, graph.whole()) for key, graph in found if graph is not None)

    def part(_service: Service, change: ZoneChange) -> ZoneChange:
        return change

    expected = PERMISSIONS[Ask.FOLLOW_GRAPH].callers
    feed: Feed[ZoneChange] = Feed(instance, clock, bound, expected, whole, part)

    def publish(zone_id: ZoneId, change: GraphChange) -> None:
        feed.publish(ZoneChange(zone_id, change))

    graphs.watch(publish)
    return feed


@dataclass(frozen=True, slots=True)
class CoordinatorPeerApi:
    """The answers; `answers` is the table."""

    graphs: LiveGraphs
    feed: Feed[ZoneChange]
    remove: removal.RemoveApplication
    sessions: ClientSessions

    def answers(self) -> tuple[Answer, ...]:
        return (
            Answer(Ask.FOLLOW_GRAPH, self.feed.answer),
            Answer(Ask.COUNT_GRAPH, self.count),
            Answer(Ask.REMOVE_APPLICATION, self.remove_application),
            Answer(Ask.OPEN_CLIENT_SESSION, self.open_session),
        )

    async def count(self, _caller: Service, _body: bytes) -> ZoneCounts:
        return ZoneCounts({zone_id: self.graphs.counts(zone_id) for zone_id in self.graphs.zones()})

    async def remove_application(self, _caller: Service, body: bytes) -> Done:
        asked = decode(body, RemoveApplication)
        if self.graphs.graph(asked.zone_id) is None:
            # Nothing to revoke, or not known here yet: whoever asks can not tell, and asks again.
            raise Unavailable(Reason.PEER_UNAVAILABLE, "the zone is not followed here yet")
        await self.remove(asked.zone_id, asked.application_id)
        return Done()

    async def open_session(self, _caller: Service, body: bytes) -> ClientSessionOpened:
        opened = await self.sessions.open(decode(body, WantedSession))
        if isinstance(opened, Refused):
            return ClientSessionOpened(refused=Fault(opened.reason, opened.detail))
        return ClientSessionOpened(opened)
