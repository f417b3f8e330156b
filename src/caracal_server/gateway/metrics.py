"""What the Gateway counts."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from caracal.authority.outcomes import Reason

_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class GatewayMetrics:
    """Children are bound once: a call looks up no label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        calls = Counter(
            "caracal_gateway_calls",
            "Calls, by what became of them: passed, or the reason code.",
            ["outcome"],
            registry=registry,
        )
        self.passed = calls.labels("passed")
        self._failed = {reason: calls.labels(reason.value) for reason in Reason}
        self.admission = Histogram(
            "caracal_gateway_admission_seconds",
            "From a call's arrival until its admission is on record.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.unrecorded = Counter(
            "caracal_gateway_refusals_unrecorded",
            "Refusals of unproven calls that were counted instead of recorded.",
            registry=registry,
        )
        self.results_lost = Counter(
            "caracal_gateway_results_lost",
            "Results of calls that the evidence log did not take.",
            registry=registry,
        )
        self.in_flight = Gauge(
            "caracal_gateway_calls_in_flight", "Calls under way.", registry=registry
        )

    def count(self, reason: Reason | None) -> None:
        """Count a call that is over: passed, or failed for a reason."""
        (self.passed if reason is None else self._failed[reason]).inc()
