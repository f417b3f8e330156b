"""What an operator can set about the Audit service."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from caracal.authority.identifiers import ZoneId
from caracal_server.ports.evidence import Committable

MAX_WAITING: Final = 1_000_000
MAX_BATCH: Final = 20_000


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Bounds and intervals.

    Attributes:
        origin_host: what the logs are named after: `<origin_host>/evidence/<zone id>`. The host of the
            issuer, with its port where it has one. Changing it starts new logs in the eyes of auditors.
        own_logs: logs that exist beside those of the zones.
        max_waiting: entries that may wait for a commit before more are refused.
        max_batch: entries in one commit.
        commit_timeout: how long a commit may take before its entries are refused.
        retry_interval: how long results wait after a failed commit until they are tried again.
        checkpoint_interval: how often a checkpoint is signed while there is traffic.
        sweep_interval: from the end of one sweep to the start of the next.
        sweep_batch: entries read at a time by a sweep.
        sweep_rate: entries per second that a sweep reads at most.
        page_limit: entries on one page of a search.
        committed: fields that entries commit to besides those that say who a person is.
        shard: which shard these logs are, then called `<origin_host>/evidence/<zone id>/<shard>`; or none.
        unfinished_grace: how long a process may go on after the start of the next one.
        public_log: whether anybody may read checkpoints and hash tiles; entries never.
    """

    origin_host: str
    own_logs: tuple[ZoneId, ...] = (ZoneId("system"),)
    max_waiting: int = 10_000
    max_batch: int = 2_000
    commit_timeout: timedelta = timedelta(seconds=10)
    retry_interval: timedelta = timedelta(seconds=1)
    checkpoint_interval: timedelta = timedelta(milliseconds=500)
    sweep_interval: timedelta = timedelta(minutes=15)
    sweep_batch: int = 500
    sweep_rate: int = 20_000
    page_limit: int = 500
    shard: str = ""
    unfinished_grace: timedelta = timedelta()
    public_log: bool = False
    committed: frozenset[Committable] = frozenset()

    def __post_init__(self) -> None:
        if not self.origin_host or any(c.isspace() or c in "+/" for c in self.origin_host):
            raise ValueError("origin_host is a host, with its port where it has one")
        _require("max_waiting", self.max_waiting, 1, MAX_WAITING)
        _require("max_batch", self.max_batch, 1, MAX_BATCH)
        _require("sweep_batch", self.sweep_batch, 1, MAX_BATCH)
        _require("sweep_rate", self.sweep_rate, 1, 10_000_000)
        _require("page_limit", self.page_limit, 1, 1_000)
        _require_span("commit_timeout", self.commit_timeout, timedelta(minutes=5))
        _require_span("retry_interval", self.retry_interval, timedelta(minutes=1))
        _require_span("checkpoint_interval", self.checkpoint_interval, timedelta(seconds=1))
        _require_span("sweep_interval", self.sweep_interval, timedelta(days=7))


def _require(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least} to {most}")


def _require_span(name: str, value: timedelta, most: timedelta) -> None:
    if not timedelta() < value <= most:
        raise ValueError(f"{name} must be more than 0 and at most {most}")
