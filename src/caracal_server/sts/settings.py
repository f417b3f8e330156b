"""What an operator can set about the STS."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StsSettings:
    """Attributes:
    issuer: the `iss` of every mandate; the public base URL of the control side, no trailing slash.
    max_failures: failed client authentications of one application within a minute before it is
        held off for a minute.
    max_form_bytes: the largest token request.
    max_in_flight: exchanges at once; one more gets 503 and `Retry-After`.
    """

    issuer: str
    max_failures: int = 60
    max_form_bytes: int = 64 * 1024
    max_in_flight: int = 1024

    def __post_init__(self) -> None:
        if not self.issuer or self.issuer.endswith("/"):
            raise ValueError("issuer must be a URL without a trailing slash")
        if not 1 <= self.max_failures <= 10_000:  # noqa: PLR2004 (stated in the message)
            raise ValueError("max_failures must be 1 to 10000")
        if not 1024 <= self.max_form_bytes <= 1024 * 1024:  # noqa: PLR2004 (stated in the message)
            raise ValueError("max_form_bytes must be 1024 to 1048576")
        if self.max_in_flight < 1:
            raise ValueError("max_in_flight must be at least 1")
