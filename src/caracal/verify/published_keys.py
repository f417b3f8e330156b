"""A zone's published keys, fetched when the cache says so: once for all who wait, and bounded."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final

import httpx

from caracal.authority.outcomes import Reason
from caracal.tokens.keys import KeySet
from caracal.verify import clock
from caracal.verify.key_cache import (
    CacheRules,
    Fetch,
    KeyCache,
    Pause,
    Plan,
    Unavailable,
    Unknown,
    Use,
    Wait,
)
from caracal.verify.key_document import (
    HEADERS,
    TIMEOUT_SECONDS,
    KeyDocument,
    jwks_url,
    plain_async_client,
    plain_client,
)
from caracal.verify.refusals import Code, NotVerified
from caracal.verify.requirements import Expected

_LONGEST_WAIT: Final = 2 * TIMEOUT_SECONDS
_ROUNDS: Final = 4
"""Of pausing, fetching and waiting for one token; it may wait for a fetch that was for another key."""


class PublishedKeys:
    """For threads. Whoever needs keys that somebody else is fetching waits for them.

    `client` makes a client for each fetch; redirects are not followed, whatever it says.
    """

    def __init__(
        self,
        expected: Expected,
        *,
        rules: CacheRules | None = None,
        client: Callable[[], httpx.Client] = plain_client,
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        self._url = jwks_url(expected)
        self._client = client
        self._seconds = seconds
        self._cache = KeyCache(rules or CacheRules())
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None

    def keys(self, kid: str) -> KeySet:
        """The keys, among them `kid`.

        Raises:
            NotVerified: with `invalid_token` when the issuer does not publish it, with
                `keys_unavailable` when there is no way to tell.
        """
        for _ in range(_ROUNDS):
            with self._lock:
                plan = self._plan(kid)
                flight = self._flight
                if isinstance(plan, Fetch):
                    flight = self._flight = Future()
            match plan:
                case Fetch() if flight is not None:
                    self._fetch(kid, flight)
                case Wait() if flight is not None:
                    wait([flight], _LONGEST_WAIT)
                case Pause(seconds):
                    time.sleep(seconds)
                case _:
                    return _settled(plan)
        with self._lock:
            plan = self._plan(kid)
        return _settled(plan)

    def _plan(self, kid: str) -> Plan:
        return self._cache.plan(kid, self._seconds(), in_flight=self._flight is not None)

    def _fetch(self, kid: str, flight: "Future[None]") -> None:
        begun = self._seconds()
        keys = None
        try:
            keys = self._read(begun + TIMEOUT_SECONDS)
        except Exception:  # noqa: BLE001 (whatever went wrong, there are no new keys)
            keys = None
        finally:
            with self._lock:
                self._cache = _after(self._cache, keys, kid, begun, self._seconds())
                self._flight = None
            flight.set_result(None)

    def _read(self, deadline: float) -> KeySet:
        document = KeyDocument()
        with (
            self._client() as client,
            client.stream("GET", self._url, headers=HEADERS, follow_redirects=False) as response,
        ):
            document.begin(response)
            for piece in response.iter_raw():
                document.add(piece)
                if self._seconds() > deadline:
                    raise TimeoutError
        return document.keys()


class AsyncPublishedKeys:
    """For an event loop; one after another may use it. What is fetched outlives whoever asked."""

    def __init__(
        self,
        expected: Expected,
        *,
        rules: CacheRules | None = None,
        client: Callable[[], httpx.AsyncClient] = plain_async_client,
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        self._url = jwks_url(expected)
        self._client = client
        self._seconds = seconds
        self._cache = KeyCache(rules or CacheRules())
        self._flight: asyncio.Task[None] | None = None

    async def keys(self, kid: str) -> KeySet:
        """As `PublishedKeys.keys`."""
        for _ in range(_ROUNDS):
            flight = self._flying()
            plan = self._cache.plan(kid, self._seconds(), in_flight=flight is not None)
            if isinstance(plan, Fetch):
                flight = self._flight = asyncio.create_task(self._fetch(kid))
            if isinstance(plan, Pause):
                await asyncio.sleep(plan.seconds)
            elif isinstance(plan, Fetch | Wait) and flight is not None:
                await asyncio.wait([flight])
            else:
                return _settled(plan)
        return _settled(self._cache.plan(kid, self._seconds(), in_flight=False))

    def _flying(self) -> asyncio.Task[None] | None:
        """The fetch under way; one that a loop which is gone left behind does not count."""
        flight = self._flight
        if flight is None or flight.done() or flight.get_loop() is not asyncio.get_running_loop():
            return None
        return flight

    async def _fetch(self, kid: str) -> None:
        begun = self._seconds()
        keys = None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                keys = await self._read()
        except Exception:  # noqa: BLE001 (whatever went wrong, there are no new keys)
            keys = None
        finally:
            self._cache = _after(self._cache, keys, kid, begun, self._seconds())

    async def _read(self) -> KeySet:
        document = KeyDocument()
        async with (
            self._client() as client,
            client.stream("GET", self._url, headers=HEADERS, follow_redirects=False) as response,
        ):
            document.begin(response)
            async for piece in response.aiter_raw():
                document.add(piece)
        return document.keys()


def _after(cache: KeyCache, keys: KeySet | None, kid: str, begun: float, ended: float) -> KeyCache:
    if keys is None:
        return cache.failed(ended=ended)
    return cache.fetched(keys, kid=kid, begun=begun, ended=ended)


def _settled(plan: Plan) -> KeySet:
    """The keys of a plan after which nobody fetches.

    Raises:
        NotVerified: there are none for this token.
    """
    match plan:
        case Use(keys):
            return keys
        case Unknown():
            raise NotVerified(
                Code.INVALID_TOKEN,
                "the issuer publishes no key of this key id",
                reason=Reason.MANDATE_KEY_UNKNOWN,
            )
        case Unavailable(retry_after):
            raise NotVerified(Code.KEYS_UNAVAILABLE, retry_after=max(1, math.ceil(retry_after)))
        case _:
            raise NotVerified(Code.KEYS_UNAVAILABLE, retry_after=1)
