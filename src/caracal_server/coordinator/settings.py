"""What an operator can set about the Coordinator."""

from dataclasses import dataclass, field
from datetime import timedelta

from caracal.authority.graph import GraphLimits

_SHORTEST_RETENTION = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    """Attributes:
    issuer: the `iss` and `aud` that mandates must carry.
    limits: how large a zone's graph may grow.
    request_timeout: after it the answer is 503, while what was begun is still finished.
    max_body_bytes: the largest request body.
    receipt_retention: how long an answer is remembered under a client's idempotency key.
    generated_receipt_retention: the same for a key that the client's library made up.
    max_receipts: how many answers are remembered for one application.
    sweep_interval: how often what time has ended is ended; at most 1 second.
    sweep_limit: how many sessions of a zone one sweep looks at.
    """

    issuer: str
    limits: GraphLimits = field(default_factory=GraphLimits)
    request_timeout: timedelta = timedelta(seconds=30)
    max_body_bytes: int = 262_144
    receipt_retention: timedelta = 7 * _DAY
    generated_receipt_retention: timedelta = _DAY
    max_receipts: int = 10_000
    sweep_interval: timedelta = timedelta(milliseconds=500)
    sweep_limit: int = 1_000

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: naming the setting that is out of them.
        """
        if not self.issuer or self.issuer.endswith("/"):
            raise ValueError("issuer must be a URL without a trailing slash")
        if not timedelta(seconds=1) <= self.request_timeout <= timedelta(minutes=5):
            raise ValueError("request_timeout must be 1 to 300 seconds")
        if not 1024 <= self.max_body_bytes <= 1024 * 1024:  # noqa: PLR2004 (stated in the message)
            raise ValueError("max_body_bytes must be 1024 to 1048576")
        for retention in (self.receipt_retention, self.generated_receipt_retention):
            if not _SHORTEST_RETENTION <= retention <= 90 * _DAY:
                raise ValueError("a receipt's retention must be 1 hour to 90 days")
        if not 1 <= self.max_receipts <= 1_000_000:  # noqa: PLR2004 (stated in the message)
            raise ValueError("max_receipts must be 1 to 1000000")
        if not timedelta(milliseconds=10) <= self.sweep_interval <= timedelta(seconds=1):
            raise ValueError("sweep_interval must be 10 to 1000 milliseconds")
        if not 1 <= self.sweep_limit <= 100_000:  # noqa: PLR2004 (stated in the message)
            raise ValueError("sweep_limit must be 1 to 100000")
