"""Follows the revocations of a zone at the Coordinator, as server-sent events.

The Coordinator says every second that it lives and until when everything is told; while it does not, the
view grows old, and then refuses. A connection that breaks is made again, and goes on where it was.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn
from urllib.parse import quote

import httpx

from caracal.verify import clock
from caracal.verify.following import Following
from caracal.verify.requirements import origin
from caracal.verify.revocations import FollowedRevocations
from caracal.wire.revocation_feed import MEDIA_TYPE, EventReader

TIMEOUT_SECONDS: Final = 5.0
"""Also between two pieces of a stream: the publisher says every second that it lives."""
SHORTEST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 15.0
_OK: Final = 200


class FeedRefused(Exception):
    """The answer is no feed: its status says why, where it is not 200."""


@dataclass(frozen=True, slots=True)
class FeedAddress:
    """Where the revocations of a zone are told.

    Attributes:
        coordinator: the URL of the control side, or of the Coordinator where services run apart.
    """

    coordinator: str
    zone_id: str

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ValueError: it is neither https nor on loopback, or names no zone.
        """
        origin(self.coordinator)
        if not self.zone_id:
            raise ValueError("a zone is needed")

    @property
    def url(self) -> str:
        base = self.coordinator.rstrip("/")
        return f"{base}/zones/{quote(self.zone_id, safe='')}/revocations"


class _Reading:
    """What both readers have in common: where they are, and what a piece of the stream does."""

    def __init__(
        self,
        address: FeedAddress,
        view: FollowedRevocations,
        now: Callable[[], datetime],
        seconds: Callable[[], float],
    ) -> None:
        self.address = address
        self._following = Following(view, address.zone_id)
        self._now = now
        self._seconds = seconds
        self._events = EventReader()
        self._pause = SHORTEST_PAUSE

    def headers(self, token: str) -> dict[str, str]:
        told = self._following.position
        resume = {"last-event-id": str(told)} if told else {}
        return {
            "authorization": f"Bearer {token}",
            "accept": MEDIA_TYPE,
            "accept-encoding": "identity",
            **resume,
        }

    def begin(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != _OK:
            raise FeedRefused(f"the answer is {response.status_code} instead of 200")
        if kind != MEDIA_TYPE or response.headers.get("content-encoding", "identity") != "identity":
            raise FeedRefused("the answer is no plain stream of events")
        self._events = EventReader()

    def take(self, piece: bytes) -> None:
        for message in self._events.feed(piece):
            if self._following.take(message, now=self._now(), seconds=self._seconds()):
                self._pause = SHORTEST_PAUSE

    def pause(self) -> float:
        """How long to wait now: twice as long each time."""
        waits, self._pause = self._pause, min(LONGEST_PAUSE, 2 * self._pause)
        # Half at random, so that those who failed together do not come back together.
        return waits * (0.5 + os.urandom(1)[0] / 510)  # noqa: TID251 (jitter of a client; no port here)


class SseFeed:
    """For a thread of its own: `follow` returns once `stop` is set."""

    def __init__(
        self,
        address: FeedAddress,
        view: FollowedRevocations,
        *,
        token: Callable[[], str],
        client: Callable[[], httpx.Client] | None = None,
        now: Callable[[], datetime] = clock.utc_now,
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        """Begin at the beginning of what still matters.

        Args:
            address: where to ask.
            view: what is kept up to date.
            token: an application's session mandate, or an operator token that may read; asked for
                again for each connection. What it raises is tried again like everything else.
            client: makes the client; redirects are not followed, whatever it says.
            now: the wall clock.
            seconds: the clock of the view's age.
        """
        self._reading = _Reading(address, view, now, seconds)
        self._token = token
        self._client = client or _plain_client

    def follow(self, stop: threading.Event) -> None:
        """Read until `stop` is set, which takes a second at most while the publisher lives."""
        with self._client() as client:
            while not stop.is_set():
                try:
                    self.read(client, stop)
                except Exception:  # noqa: BLE001 (the view grows old meanwhile, and refuses)
                    stop.wait(self._reading.pause())

    def read(self, client: httpx.Client, stop: threading.Event) -> None:
        """Read one connection to its end.

        Raises:
            Exception: whatever the client raises, or the token.
            FeedRefused, InvalidMessage: the answer is no feed.
        """
        headers = self._reading.headers(self._token())
        url = self._reading.address.url
        with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
            self._reading.begin(response)
            for piece in response.iter_raw():
                self._reading.take(piece)
                if stop.is_set():
                    return
        raise FeedRefused("the publisher ended the stream")


class AsyncSseFeed:
    """As `SseFeed`, for an event loop: `follow` reads until it is cancelled."""

    def __init__(
        self,
        address: FeedAddress,
        view: FollowedRevocations,
        *,
        token: Callable[[], Awaitable[str]],
        client: Callable[[], httpx.AsyncClient] | None = None,
        now: Callable[[], datetime] = clock.utc_now,
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        self._reading = _Reading(address, view, now, seconds)
        self._token = token
        self._client = client or _plain_async_client

    async def follow(self) -> NoReturn:
        async with self._client() as client:
            while True:
                try:
                    await self.read(client)
                except Exception:  # noqa: BLE001 (the view grows old meanwhile, and refuses)
                    await asyncio.sleep(self._reading.pause())

    async def read(self, client: httpx.AsyncClient) -> NoReturn:
        """Read one connection to its end.

        Raises:
            Exception: whatever the client raises, or the token.
            FeedRefused, InvalidMessage: the answer is no feed, or it ended.
        """
        headers = self._reading.headers(await self._token())
        url = self._reading.address.url
        async with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
            self._reading.begin(response)
            async for piece in response.aiter_raw():
                self._reading.take(piece)
        raise FeedRefused("the publisher ended the stream")


def _plain_client() -> httpx.Client:
    return httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)


def _plain_async_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
