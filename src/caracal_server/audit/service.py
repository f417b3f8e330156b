"""The parts of the Audit service, put together: started in order, drained in order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from caracal.authority.identifiers import ZoneId
from caracal_server.audit.admin_reads import AdminAuditApi
from caracal_server.audit.anchoring import Anchoring, Sharding
from caracal_server.audit.checkpoints import Checkpointer
from caracal_server.audit.committing import Committer
from caracal_server.audit.erasure_api import ErasureApi
from caracal_server.audit.erasures import Erasures
from caracal_server.audit.exports import ExportApi
from caracal_server.audit.http import EvidenceApi
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.logs import LogKeys, Logs
from caracal_server.audit.opened import Opened
from caracal_server.audit.operators import Acting
from caracal_server.audit.queries import EvidenceReader
from caracal_server.audit.receipt_api import ReceiptApi
from caracal_server.audit.receipts import Receipts
from caracal_server.audit.references import References
from caracal_server.audit.retention import Retention
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings
from caracal_server.audit.shard_api import ShardPeerApi
from caracal_server.audit.story import Story
from caracal_server.audit.submission import Submission
from caracal_server.audit.succession import LogKeyChange, LogKeyFiles
from caracal_server.audit.sweep import Sweep
from caracal_server.audit.tile_http import TileApi
from caracal_server.audit.tiles import TileView
from caracal_server.audit.unfinished import Unfinished
from caracal_server.audit.witness_api import WitnessApi, WitnessMetrics
from caracal_server.audit.witness_standing import WitnessSettings
from caracal_server.audit.witnessed_log import WitnessedLog
from caracal_server.audit.witnessing import Witnessing
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog, EvidenceStore
from caracal_server.ports.witnesses import WitnessClient
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.health import Check
from caracal_server.web.operators import Authenticate
from caracal_server.web.peers.gate import Answer
from caracal_server.web.routes import Route


@dataclass(frozen=True, slots=True)
class AuditService:
    """What assembly holds.

    `log` is the `EvidenceLog` of those who decide, `sequencer` that of whoever records anything else.
    """

    sequencer: Sequencer
    checkpointer: Checkpointer
    sweep: Sweep
    reader: EvidenceReader
    logs: Logs
    clock: Clock
    receipts: Receipts
    tiles: TileView
    retention: Retention
    opened: Opened
    erasures: Erasures
    unfinished: Unfinished
    witnessing: Witnessing | None
    sharding: Sharding
    anchoring: Anchoring
    story: Story
    shard_answers: tuple[Answer, ...]

    @property
    def log(self) -> EvidenceLog:
        if self.witnessing is None:
            return self.sequencer
        return WitnessedLog(self.sequencer, self.witnessing)

    async def start(self) -> None:
        """Take up every log, hold it to its latest checkpoint, then begin to sign and sweep.

        Raises:
            Unavailable: the store can not be reached.
        """
        await self.sequencer.start(self.logs.all())
        await self.checkpointer.start()
        if self.witnessing is not None:
            await self.witnessing.start()
        self.sweep.start()
        self.erasures.start()
        self.anchoring.start()

    async def close(self) -> None:
        """Store what waits, sign for it, and end."""
        await self.anchoring.close()
        await self.erasures.close()
        await self.sweep.close()
        await self.unfinished.close()
        await self.sequencer.close()
        await self.checkpointer.close()
        if self.witnessing is not None:
            await self.witnessing.close()

    def checks(self) -> dict[str, Check]:
        """What readiness asks."""
        witnesses = {} if self.witnessing is None else {"evidence_witnesses": self.witnessing.check}
        return witnesses | {
            "evidence_shards": self.anchoring.check,
            "evidence_log": self.sequencer.check,
            "evidence_checkpoints": self.checkpointer.check,
            "evidence_integrity": self.sweep.check,
        }

    def register(self, registry: CollectorRegistry) -> None:
        """Have what is known of the witnesses collected."""
        if self.witnessing is not None:
            registry.register(WitnessMetrics(self.witnessing))

    def key_change(self, files: LogKeyFiles) -> LogKeyChange:
        """What changes the key that signs for the logs."""
        return LogKeyChange(self.logs, self.sequencer, self.checkpointer, self.clock, files)

    def acting(self, authenticate: Authenticate) -> Acting:
        """Who may act on the logs."""
        return Acting(authenticate, self.sequencer, self.logs, self.clock)

    def routes(self, authenticate: Authenticate) -> tuple[Route, ...]:
        """The read API, the record of exports, the receipts, and the logs as tiles."""
        evidence = EvidenceApi(self.reader, self.story, self.opened, self.logs, authenticate)
        tiles = TileApi(self.tiles, self.reader, self.logs, authenticate)
        acting = self.acting(authenticate)
        exports = ExportApi(
            self.reader, self.sequencer, self.logs, self.clock, acting, self.retention
        )
        erasures = ErasureApi(self.erasures, self.logs, acting, self.sharding.shards)
        return (
            *WitnessApi(self.witnessing, self.logs, authenticate).routes(),
            *exports.routes(),
            *erasures.routes(),
            *evidence.routes(),
            *AdminAuditApi(self.reader, self.logs, authenticate).routes(),
            *ReceiptApi(self.receipts).routes(),
            *tiles.routes(),
        )


_UNSHARDED: Final = Sharding()


def _shard_logs(logs: Logs, sharding: Sharding) -> Callable[[ZoneId], list[str]]:
    return lambda zone_id: [logs.origin_of(zone_id, shard) for shard in sharding.shards]


def build_audit_service(
    store: EvidenceStore,
    zones: ZoneDirectory,
    keys: LogKeys,
    clock: Clock,
    settings: AuditSettings,
    *,
    entropy: Entropy,
    witnesses: tuple[WitnessSettings, WitnessClient] | None = None,
    sharding: Sharding = _UNSHARDED,
) -> AuditService:
    """Put the service together; nothing runs yet."""
    integrity = Integrity()
    logs = Logs(zones, keys, settings)
    references = References(keys, settings.shard)
    committer = Committer(entropy, settings.committed)
    sequencer = Sequencer(store, settings, integrity, clock, references, committer)
    checkpointer = Checkpointer(store, sequencer, logs, clock, integrity)
    witnessing = None
    if witnesses is not None:
        wanted, client = witnesses
        witnessing = Witnessing(Submission(store, client, clock), logs, wanted)
        checkpointer.watch(witnessing.signed)
    witnessed = None if witnessing is None else witnessing.witnessed
    reader = EvidenceReader(store, checkpointer, logs, witnessed)
    opened = Opened(store, integrity)
    erasures = Erasures(store, sequencer, logs, clock)
    receipts = Receipts(store, references, witnessed=witnessed, shards=sharding.shards)
    return AuditService(
        sequencer=sequencer,
        checkpointer=checkpointer,
        sweep=Sweep(store, logs, integrity),
        reader=reader,
        logs=logs,
        clock=clock,
        receipts=receipts,
        witnessing=witnessing,
        tiles=TileView(store),
        retention=Retention(store, sequencer, clock, _shard_logs(logs, sharding)),
        opened=opened,
        erasures=erasures,
        unfinished=Unfinished(
            store, sequencer, logs, clock, settings.unfinished_grace.total_seconds()
        ),
        sharding=sharding,
        anchoring=Anchoring(sharding, store, sequencer, logs, clock, integrity),
        story=Story(reader, opened, sharding.shards, settings.page_limit),
        shard_answers=ShardPeerApi(store, reader, opened, receipts, erasures, logs).answers(),
    )
