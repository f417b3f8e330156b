"""The system's randomness, taken in portions, and identifiers made of it."""

import os
import threading
import time
import weakref
from functools import lru_cache

POOL_BYTES = 4096
RANDOM_BITS = 80
_STEP_BYTES = 4
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_TOP_BIT = 1 << RANDOM_BITS - 1


class SystemEntropy:
    """The `Entropy` of a running process. Safe for threads; a forked child starts anew.

    An identifier has the layout of a ULID: 48 bits of milliseconds and 80 of randomness in Crockford's
    base32, here in lower case. Within a process each is greater than the one before: in the same
    millisecond, or when the clock went back, the random part grows by a random step instead.
    """

    def __init__(self) -> None:
        self.start_anew()
        this = weakref.ref(self)

        def in_child() -> None:
            entropy = this()
            if entropy is not None:
                entropy.start_anew()

        os.register_at_fork(after_in_child=in_child)

    def start_anew(self) -> None:
        """Forget the pool: after a fork, parent and child would both hand out the rest of it."""
        self._lock = threading.Lock()
        self._pool = b""
        self._used = 0
        self._millisecond = -1
        self._prefix = ""
        self._random = 0

    def token_bytes(self, count: int) -> bytes:
        if count > POOL_BYTES:
            return os.urandom(count)
        with self._lock:
            return self._take(count)

    def new_id(self) -> str:
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._millisecond:
                self._begin(now)
            else:
                self._random += 1 + int.from_bytes(self._take(_STEP_BYTES))
                if self._random >> RANDOM_BITS:
                    self._begin(self._millisecond + 1)
            r, pairs = self._random, _PAIRS
            # Written out: four identifiers are made for every governed call.
            return (
                f"{self._prefix}{pairs[r >> 70 & 1023]}{pairs[r >> 60 & 1023]}{pairs[r >> 50 & 1023]}"
                f"{pairs[r >> 40 & 1023]}{pairs[r >> 30 & 1023]}{pairs[r >> 20 & 1023]}"
                f"{pairs[r >> 10 & 1023]}{pairs[r & 1023]}"
            )

    def _begin(self, millisecond: int) -> None:
        self._millisecond = millisecond
        self._prefix = _upper(millisecond >> 10) + _PAIRS[millisecond & 1023]
        # Without its top bit the random part has room to grow for 2**47 steps.
        self._random = int.from_bytes(self._take(RANDOM_BITS // 8)) & ~_TOP_BIT

    def _take(self, count: int) -> bytes:
        if self._used + count > len(self._pool):
            self._pool = os.urandom(POOL_BYTES)
            self._used = 0
        start = self._used
        self._used = start + count
        return self._pool[start : self._used]


@lru_cache(maxsize=8)  # changes once a second
def _upper(bits: int) -> str:
    """The first eight characters of an identifier: all of its instant but the last 10 bits."""
    return "".join(_PAIRS[bits >> 10 * at & 1023] for at in (3, 2, 1, 0))
