"""What an operator can set about the Gateway."""

from dataclasses import dataclass
from datetime import timedelta

MiB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Attributes:
    issuer: the `iss` and `aud` that mandates must carry.
    minimum_remaining: a mandate that expires sooner is refused before anything is attempted.
    max_request_bytes: the largest request body that is passed on.
    max_inspected_bytes: the largest message to an MCP server; it is held in memory.
    max_header_bytes: of all request headers together.
    max_in_flight: calls at once; one more gets 503 and `Retry-After`.
    caller_idle: how long a caller may send nothing of a body that it has announced.
    body_digests: whether the SHA-256 of both bodies of a call is recorded.
    trust_forwarded: whether the peer is a proxy whose `X-Forwarded-*` is believed.
    """

    issuer: str
    minimum_remaining: timedelta = timedelta(seconds=35)
    max_request_bytes: int = 2048 * MiB
    max_inspected_bytes: int = MiB
    max_header_bytes: int = 16 * 1024
    max_in_flight: int = 1024
    caller_idle: timedelta = timedelta(seconds=60)
    trust_forwarded: bool = False
    body_digests: bool = True

    def __post_init__(self) -> None:
        if not self.issuer or self.issuer.endswith("/"):
            raise ValueError("issuer must be a URL without a trailing slash")
        if not timedelta() <= self.minimum_remaining <= timedelta(minutes=10):
            raise ValueError("minimum_remaining must be 0 to 600 seconds")
        if self.caller_idle <= timedelta():
            raise ValueError("caller_idle must be longer than nothing")
        for name, low in (
            ("max_request_bytes", 1),
            ("max_inspected_bytes", 1024),
            ("max_header_bytes", 1024),
            ("max_in_flight", 1),
        ):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}")
