"""What Control answers to services that run apart."""

from dataclasses import dataclass

from caracal.authority.outcomes import Refused
from caracal_server.control.operators import Operators, lacks
from caracal_server.ports.clock import Clock
from caracal_server.ports.keys import KeyStore, StoredSigningKey
from caracal_server.ports.tools import ToolReports
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.peers.feed import Feed
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.messages import (
    Done,
    Fault,
    OperatorProof,
    ProveOperator,
    ResealedKeys,
    ToolsSeen,
    decode,
    zone_for,
)
from caracal_server.web.peers.services import PERMISSIONS, Ask, Service


class PublishedZones:
    """The zones as they are in effect, and the feed of their changes. Implements `ZoneInstaller`."""

    def __init__(self, clock: Clock, instance: str, bound: float) -> None:
        self._records: dict[str, ZoneRecord] = {}
        expected = PERMISSIONS[Ask.FOLLOW_ZONES].callers
        self.feed: Feed[ZoneRecord] = Feed(instance, clock, bound, expected, self._whole, zone_for)

    def install(self, record: ZoneRecord) -> None:
        self._records[record.id] = record
        self.feed.publish(record)

    def _whole(self, service: Service) -> tuple[ZoneRecord, ...]:
        return tuple(zone_for(service, record) for record in self._records.values())


@dataclass(frozen=True, slots=True)
class ControlPeerApi:
    """The answers; `answers` is the table."""

    zones: PublishedZones
    operators: Operators
    keys: KeyStore
    tools: ToolReports

    def answers(self) -> tuple[Answer, ...]:
        return (
            Answer(Ask.FOLLOW_ZONES, self.zones.feed.answer),
            Answer(Ask.PROVE_OPERATOR, self.prove_operator),
            Answer(Ask.REPORT_TOOLS, self.report_tools),
            Answer(Ask.LOAD_SIGNING_KEYS, self.load_keys),
            Answer(Ask.ADD_SIGNING_KEY, self.add_key),
            Answer(Ask.REPLACE_SIGNING_KEYS, self.replace_keys),
        )

    async def prove_operator(self, _caller: Service, body: bytes) -> OperatorProof:
        asked = decode(body, ProveOperator)
        found = self.operators.prove_digest(asked.token_sha256)
        if not isinstance(found, Refused) and asked.scope not in found.scopes:
            found = lacks(found, asked.scope)
        if isinstance(found, Refused):
            return OperatorProof(refused=Fault(found.reason, found.detail))
        return OperatorProof(found.id, found.name, found.scopes)

    async def load_keys(self, _caller: Service, _body: bytes) -> tuple[StoredSigningKey, ...]:
        """The signing keys as they are kept: sealed under a key that is the STS's alone."""
        return await self.keys.load_all()

    async def report_tools(self, _caller: Service, body: bytes) -> Done:
        """A Gateway that was taken over can hold a tool back, or be the first to describe one."""
        told = decode(body, ToolsSeen)
        await self.tools.report(told.zone_id, told.seen)
        return Done()

    async def add_key(self, _caller: Service, body: bytes) -> Done:
        await self.keys.add(decode(body, StoredSigningKey))
        return Done()

    async def replace_keys(self, _caller: Service, body: bytes) -> Done:
        await self.keys.replace_sealed(decode(body, ResealedKeys).sealed)
        return Done()
