"""What the clients need of the machine: its environment, its randomness, its clock that never goes back."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

_JITTER_BYTES = 4
_JITTER_RANGE = 2**32


def environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 (the one place of the clients that reads it)


def random_bytes(count: int) -> bytes:
    return os.urandom(count)  # noqa: TID251 (the one place of the clients that takes it)


def monotonic() -> float:
    """Seconds, from no particular instant on."""
    return time.monotonic()


def utc_now() -> datetime:
    """By the machine's clock, which may be wrong."""
    return datetime.now(UTC)  # noqa: TID251 (the one place of the clients that reads it)


def jitter() -> float:
    """A number between 0 and 1, another one each time."""
    return int.from_bytes(random_bytes(_JITTER_BYTES), "big") / _JITTER_RANGE
