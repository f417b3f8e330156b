"""What Audit takes from services that run apart: entries, of the kinds that are the caller's to write."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from caracal.authority.events import Entry, Kind
from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.zones import Zone
from caracal_server.audit.batches import records
from caracal_server.audit.logs import may_have_a_log
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.evidence import EvidenceLog, EvidenceQuery, EvidenceStore, Receipt
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.messages import EvidenceBatch, Fault, Recorded, decode
from caracal_server.web.peers.services import Ask, Service

KINDS: Final = {
    Service.STS: frozenset({Kind.EXCHANGE, Kind.SERVICE_START}),
    Service.GATEWAY: frozenset(
        {Kind.CALL, Kind.CALL_RESULT, Kind.SERVICE_START, Kind.TOOL_CHANGED, Kind.TOOL_SEEN}
    ),
    Service.COORDINATOR: frozenset(
        {
            Kind.SESSION_START,
            Kind.SESSION_SUSPEND,
            Kind.SESSION_RESUME,
            Kind.SESSION_END,
            Kind.SESSION_LEASE,
            Kind.SUBJECT_REVOKE,
            Kind.DELEGATION_CREATE,
            Kind.DELEGATION_REVOKE,
            Kind.SERVICE_START,
        }
    ),
    Service.CONTROL: frozenset(
        {
            Kind.ZONE_APPLY,
            Kind.POLICY_DOCUMENT,
            Kind.KEY_ROTATE,
            Kind.OPERATOR_TOKEN,
            Kind.ADMIN_REFUSED,
            Kind.SERVICE_START,
            Kind.TOOL_ACCEPT,
        }
    ),
}
"""What each service may write. Whoever takes one over can not make up what another one did."""
SAME_REQUEST: Final = 100


class StoredLogs:
    """The logs there are, by their entries: Audit needs to know nothing else of a zone.

    Implements `ZoneDirectory`.
    """

    def __init__(self, zone_ids: Iterable[ZoneId]) -> None:
        self._zones = {zone_id: Zone(zone_id, zone_id, 0) for zone_id in zone_ids}

    def add(self, zone_id: ZoneId) -> None:
        if zone_id not in self._zones:
            self._zones[zone_id] = Zone(zone_id, zone_id, 0)

    def zone(self, zone_id: ZoneId) -> Zone | None:
        return self._zones.get(zone_id)

    def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones.values())

    def application_zone(self, application_id: ApplicationId) -> ZoneId | None:  # noqa: ARG002 (the port's)
        return None


@dataclass(frozen=True, slots=True)
class AuditPeerApi:
    """Appends what other services decide; batches of one service keep their order.

    Attributes:
        on_start: is called once the start of a Gateway is on record.
    """

    log: EvidenceLog
    store: EvidenceStore
    logs: StoredLogs
    on_start: Callable[[], None]
    _turns: dict[Service, asyncio.Lock] = field(default_factory=dict, init=False)

    def answers(self) -> tuple[Answer, ...]:
        return (Answer(Ask.APPEND_EVIDENCE, self.append),)

    async def append(self, caller: Service, body: bytes) -> Recorded:
        """Append a batch; return once all of it is durable, or refused entry by entry.

        Raises:
            Unavailable: none of it may be recorded; none is, where one of the entries is not the
                caller's to write.
        """
        batch = decode(body, EvidenceBatch)
        if not all(may_have_a_log(ZoneId(entry.zone)) for entry in batch.entries):
            raise Unavailable(
                Reason.EVIDENCE_UNAVAILABLE, "an entry names a log that no zone can have"
            )
        refused = {entry.kind for entry in batch.entries} - KINDS[caller]
        if refused:
            kinds = ", ".join(sorted(refused))
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, f"{caller} may not record {kinds}")
        async with self._turns.setdefault(caller, asyncio.Lock()):
            # In this order the entries come to the log, whatever they then wait for.
            outcomes = await asyncio.gather(
                *(self._append(entry, again=batch.again) for entry in batch.entries),
                # The turn ends when each is settled: else a retry could not find what still waits.
                return_exceptions=True,
            )
        recorded = _recorded(outcomes)
        starts = any(
            entry.kind is Kind.SERVICE_START and not isinstance(place, Fault)
            for entry, place in zip(batch.entries, recorded.receipts, strict=True)
        )
        if caller is Service.GATEWAY and starts:
            self.on_start()
        return recorded

    async def _append(self, entry: Entry, *, again: bool) -> Receipt:
        if again:
            recorded = await self._recorded(entry)
            if recorded is not None:
                return recorded
        receipt = await self.log.append(entry)
        self.logs.add(receipt.zone_id)
        return receipt

    async def _recorded(self, entry: Entry) -> Receipt | None:
        """Where an entry stands already, if the answer that said so was lost."""
        zone_id = ZoneId(entry.zone)
        query = EvidenceQuery(request=entry.request, kind=entry.kind, limit=SAME_REQUEST)
        stored = await self.store.search(zone_id, query)
        openings = await self.store.openings(zone_id, [found.index for found in stored])
        for found in stored:
            if records(found.data, openings.get(found.index, {}), entry):
                return Receipt(zone_id, found.index, found.leaf_hash)
        return None


def _recorded(outcomes: Iterable[Receipt | BaseException]) -> Recorded:
    """What became of a batch: one entry that was refused says nothing of the others."""
    places: list[tuple[int, bytes] | Fault] = []
    references: list[str] = []
    first: Unavailable | None = None
    for outcome in outcomes:
        if isinstance(outcome, Receipt):
            places.append((outcome.index, outcome.leaf_hash))
            references.append(outcome.reference)
        elif isinstance(outcome, Unavailable):
            first = first or outcome
            places.append(Fault(outcome.reason, outcome.detail))
            references.append("")
        else:
            raise outcome
    if first is not None and all(isinstance(place, Fault) for place in places):
        raise first
    return Recorded(tuple(places), tuple(references))


def local_log(sequencer: Sequencer, logs: StoredLogs) -> EvidenceLog:
    """Audit's own way into the log, for what it has to say itself."""
    return _Local(sequencer, logs)


@dataclass(frozen=True, slots=True)
class _Local:
    sequencer: Sequencer
    logs: StoredLogs

    async def append(self, entry: Entry) -> Receipt:
        receipt = await self.sequencer.append(entry)
        self.logs.add(receipt.zone_id)
        return receipt

    def enqueue(self, entry: Entry) -> None:
        self.sequencer.enqueue(entry)
