"""What an operator can set about Control, and the keys that assembly gives it."""

from dataclasses import dataclass
from typing import Final

from caracal.authority.identifiers import ZoneId
from caracal.tokens.secret import Secret
from caracal_server.ports.evidence import SYSTEM_LOG as SYSTEM_LOG  # noqa: PLC0414 (handed on)

LEAST_KEY_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Attributes:
    pepper: keys the hashes of generated application secrets; the STS has the same one.
    fingerprint_key: keys the digests that tell whether a credential changed.
    system_log: the log that takes what is done to operators, which belongs to no zone.
    max_body_bytes: the largest document that is read.
    max_operators: operator tokens that may exist at once.
    """

    pepper: Secret
    fingerprint_key: Secret
    system_log: ZoneId = SYSTEM_LOG
    max_body_bytes: int = 1024 * 1024
    max_operators: int = 1000

    def __post_init__(self) -> None:
        for name in ("pepper", "fingerprint_key"):
            if len(getattr(self, name).reveal()) < LEAST_KEY_LENGTH:
                raise ValueError(f"{name} must have at least {LEAST_KEY_LENGTH} characters")
        if not 1024 <= self.max_body_bytes <= 16 * 1024 * 1024:  # noqa: PLR2004 (stated in the message)
            raise ValueError("max_body_bytes must be 1024 to 16777216")
        if not 1 <= self.max_operators <= 100_000:  # noqa: PLR2004 (stated in the message)
            raise ValueError("max_operators must be 1 to 100000")
