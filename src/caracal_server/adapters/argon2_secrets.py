"""Secrets that people brought: a slow hash, away from the event loop, a few at a time."""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.client_secrets import Argon2idHash, InvalidStoredSecret, parse_stored
from caracal.tokens.secret import Secret
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy

T = TypeVar("T")

CONCURRENT = 2
MAX_WAITING = 64
CACHE_TTL = timedelta(hours=1)
CACHE_ENTRIES = 8_192
MAX_SECRET_BYTES = 1_024
SALT_BYTES = 16

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


@dataclass(frozen=True, slots=True)
class _Verified:
    digest: bytes
    until: float


class Argon2Secrets:
    """Hashes secrets for keeping and verifies them.

    A secret once verified is known again by its SHA-256 for an hour, so that a busy application costs
    one slow hash an hour. The digest is keyed by the stored hash: replacing a secret forgets the old one.
    """

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._threads = ThreadPoolExecutor(CONCURRENT, "caracal-argon2")
        self._waiting = 0
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    async def hash(self, secret: Secret) -> str:
        """The tagged text to store for a secret.

        Raises:
            ValueError: it is longer than 1,024 bytes.
            Unavailable: too many wait already.
        """
        text = secret.reveal().encode()
        if len(text) > MAX_SECRET_BYTES:
            raise ValueError(f"a secret has at most {MAX_SECRET_BYTES} bytes")
        salt = self._entropy.token_bytes(SALT_BYTES)
        phc = await self._run(lambda: _hasher.hash(text, salt=salt))
        return Argon2idHash(phc).render()

    async def verify(self, stored: str, secret: Secret) -> bool:
        """Whether `stored` is the hash of `secret`.

        Raises:
            Unavailable: too many wait already.
        """
        text = secret.reveal().encode()
        if len(text) > MAX_SECRET_BYTES:
            return False
        digest = sha256(text).digest()
        known = self._known(stored)
        if known is not None and hmac.compare_digest(known, digest):
            return True
        phc = _phc(stored)
        if phc is None or not await self._run(lambda: _matches(phc, text)):
            return False
        self._remember(stored, digest)
        return True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _known(self, stored: str) -> bytes | None:
        found = self._verified.get(stored)
        if found is None:
            return None
        if found.until <= self._clock.monotonic():
            del self._verified[stored]
            return None
        return found.digest

    def _remember(self, stored: str, digest: bytes) -> None:
        until = self._clock.monotonic() + CACHE_TTL.total_seconds()
        self._verified[stored] = _Verified(digest, until)
        self._verified.move_to_end(stored)
        if len(self._verified) > CACHE_ENTRIES:
            self._verified.popitem(last=False)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Unavailable(Reason.OVERLOADED, "too many secrets wait to be checked")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _phc(stored: str) -> str | None:
    try:
        kind = parse_stored(stored)
    except InvalidStoredSecret:
        return None
    return kind.phc if isinstance(kind, Argon2idHash) else None


def _matches(phc: str, secret: bytes) -> bool:
    try:
        return _hasher.verify(phc, secret)
    except (VerificationError, InvalidHashError):
        return False
