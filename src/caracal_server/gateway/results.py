"""What became of each admitted call: one result for one admission, whatever happened."""

from typing import Final

import structlog

from caracal.authority.events import CallError, Entry
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.gateway import entries
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.upstream import UpstreamErrorKind

_log = structlog.get_logger("caracal.gateway")


_CLASSES: Final = {
    Reason.BODY_TOO_LARGE: CallError.CALLER_BODY,
    Reason.CLIENT_GONE: CallError.CALLER_GONE,
    Reason.CREDENTIAL_HOST_REFUSED: CallError.NOT_SENT,
    Reason.CREDENTIAL_UNAVAILABLE: CallError.NOT_SENT,
    Reason.DRAINING: CallError.GIVEN_UP,
    Reason.MANDATE_EXPIRED: CallError.GIVEN_UP,
    Reason.MANDATE_REVOKED: CallError.CUT_BY_REVOCATION,
    Reason.PEER_UNAVAILABLE: CallError.GIVEN_UP,
    Reason.REQUEST_MALFORMED: CallError.NOT_SENT,
    Reason.REVOCATIONS_STALE: CallError.GIVEN_UP,
    Reason.UPSTREAM_PROTOCOL: CallError.PROTOCOL,
}
_NOTHING: Final = entries.Carried(error=CallError.NOT_SENT)

UPSTREAM_CLASSES: Final = {
    UpstreamErrorKind.REFUSED_BY_EGRESS: CallError.NOT_SENT,
    UpstreamErrorKind.UNRESOLVABLE: CallError.RESOLVE,
    UpstreamErrorKind.CONNECT_FAILED: CallError.CONNECT,
    UpstreamErrorKind.TLS_FAILED: CallError.TLS,
    UpstreamErrorKind.CONNECT_TIMEOUT: CallError.TIMEOUT_CONNECT,
    UpstreamErrorKind.FIRST_BYTE_TIMEOUT: CallError.TIMEOUT_FIRST_BYTE,
    UpstreamErrorKind.IDLE_TIMEOUT: CallError.TIMEOUT_IDLE,
    UpstreamErrorKind.TOTAL_TIMEOUT: CallError.TIMEOUT_TOTAL,
    UpstreamErrorKind.PROTOCOL_ERROR: CallError.PROTOCOL,
    UpstreamErrorKind.HEADER_TOO_LARGE: CallError.PROTOCOL,
    UpstreamErrorKind.CLOSED_EARLY: CallError.RESET,
}


def class_of(failure: Refused | None) -> CallError:
    """What ended a call that the upstream did not end, by the reason of its failure."""
    if failure is None:
        return CallError.NONE
    return _CLASSES.get(failure.reason, CallError.INTERNAL)


class Results:
    """Records results. They are history by then, so nobody waits and nothing is undone."""

    __slots__ = ("_clock", "_evidence", "_metrics")

    def __init__(self, clock: Clock, evidence: EvidenceLog, metrics: GatewayMetrics) -> None:
        self._clock = clock
        self._evidence = evidence
        self._metrics = metrics

    def record(
        self, call: Entry, failure: Refused | None, carried: entries.Carried = _NOTHING
    ) -> None:
        """Record what became of the admission that `call` is; a log that takes no more is logged."""
        entry = entries.result(call, failure, carried, at=self._clock.now_us())
        try:
            self._evidence.enqueue(entry)
        except Unavailable as fault:
            self._metrics.results_lost.inc()
            _log.error(
                "result_lost", request_id=call.request, mandate=call.mandate, why=fault.reason.value
            )
