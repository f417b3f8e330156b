"""Randomness, as an argument."""

from typing import Protocol


class Entropy(Protocol):
    """Cryptographically secure, and never the same in two processes, forked ones included."""

    def token_bytes(self, count: int) -> bytes: ...

    def new_id(self) -> str:
        """A fresh identifier: 26 characters, sorted by time (48 bits of milliseconds, 80 random)."""
        ...
