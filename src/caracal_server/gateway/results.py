"""What became of each admitted call: one result for one admission, whatever happened."""

import structlog

from caracal.authority.events import Entry
from caracal.authority.outcomes import Refused, Unavailable
from caracal_server.gateway import entries
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog

_log = structlog.get_logger("caracal.gateway")


class Results:
    """Records results. They are history by then, so nobody waits and nothing is undone."""

    __slots__ = ("_clock", "_evidence", "_metrics")

    def __init__(self, clock: Clock, evidence: EvidenceLog, metrics: GatewayMetrics) -> None:
        self._clock = clock
        self._evidence = evidence
        self._metrics = metrics

    def record(
        self,
        call: Entry,
        failure: Refused | None,
        *,
        status: int = 0,
        received_bytes: int = 0,
        sent_bytes: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Record what became of the admission that `call` is; a log that takes no more is logged."""
        entry = entries.result(
            call,
            failure,
            at=self._clock.now_us(),
            status=status,
            received_bytes=received_bytes,
            sent_bytes=sent_bytes,
            duration_us=int(seconds * 1_000_000),
        )
        try:
            self._evidence.enqueue(entry)
        except Unavailable as fault:
            self._metrics.results_lost.inc()
            _log.error(
                "result_lost", request_id=call.request, mandate=call.mandate, why=fault.reason.value
            )
