"""Single use of gateway mandates."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from caracal.authority.mandates import Mandate


class Claim(StrEnum):
    """What became of an attempt to spend a mandate."""

    FIRST = "first"
    REPLAYED = "replayed"
    PREDATES_START = "predates_start"
    """Minted before this process started to remember; the client mints anew."""


class SingleUse(Protocol):
    async def claim(self, mandate: Mandate, *, now: datetime) -> Claim:
        """Spend a mandate: of any number of attempts, exactly one gets `FIRST`.

        Raises:
            Unavailable: it can not be told; the call is refused.
        """
        ...
