"""What the STS counts."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from caracal.authority.outcomes import Reason

_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class StsMetrics:
    """Children are bound once: a request looks up no label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        exchanges = Counter(
            "caracal_sts_exchanges",
            "Token requests, by what became of them: issued, or the reason code.",
            ["outcome"],
            registry=registry,
        )
        self.issued = exchanges.labels("issued")
        self._refused = {reason: exchanges.labels(reason.value) for reason in Reason}
        self.duration = Histogram(
            "caracal_sts_exchange_seconds",
            "From a token request's arrival until its mandate is signed.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.issuer_key_fetches = Counter(
            "caracal_sts_issuer_key_fetches",
            "Key documents of subject issuers: fetched, or failed.",
            ["outcome"],
            registry=registry,
        )
        self.federated = Counter(
            "caracal_sts_users_federated",
            "Session mandates of users that were issued for ID tokens.",
            registry=registry,
        )
        self.unrecorded = Counter(
            "caracal_sts_refusals_unrecorded",
            "Failed client authentications that were counted instead of recorded.",
            registry=registry,
        )

    def count_refused(self, reason: Reason) -> None:
        self._refused[reason].inc()
