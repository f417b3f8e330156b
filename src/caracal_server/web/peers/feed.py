"""What an owner lets others follow: numbered changes, and the wait until nobody acts on what was before.

A follower's view counts from when it asked. So once a follower has asked for what comes after a change,
or has not asked for longer than the bound it named, it does not act on the state before that change.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.ports.clock import Clock
from caracal_server.web.peers.messages import Follow, Page, decode, encode
from caracal_server.web.peers.services import Service

HOLD_SECONDS: Final = 0.5
"""How long an owner waits for news before it answers that there is none."""
REMEMBERED: Final = 10_000
MAX_READERS: Final = 64
MAX_READER_NAME: Final = 64

T = TypeVar("T")


def _always() -> None:
    """Nobody else can be the owner."""


@dataclass(slots=True)
class _Reader:
    """A follower: what it has for certain, and until when it may act on it (the owner's clock)."""

    has: int
    until: float


@dataclass(slots=True)
class Feed(Generic[T]):
    """Numbered changes of one thing, for followers.

    Attributes:
        instance: of this run of the owner.
        bound: the longest that a follower may act on what it had, of this run or an earlier one.
        expected: services that follow; each counts as one that has nothing until it asks.
        whole: everything there is, for one service; encoded at once.
        part: a change, for one service.
        owner: raises `Unavailable` when another process may own what is followed, so that nobody takes
            an owner that was left behind for the present one.
    """

    instance: str
    clock: Clock
    bound: float
    expected: Iterable[Service]
    whole: Callable[[Service], object]
    part: Callable[[Service, T], object]
    owner: Callable[[], None] = _always
    number: int = field(default=0, init=False)
    _changes: deque[T] = field(default_factory=deque, init=False)
    _readers: dict[tuple[Service, str], _Reader] = field(default_factory=dict, init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _heard: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        until = self.clock.monotonic() + self.bound
        self._readers = {(service, ""): _Reader(-1, until) for service in self.expected}

    def publish(self, change: T) -> None:
        """Number a change that is in force here, and wake who waits for one."""
        self.number += 1
        self._changes.append(change)
        if len(self._changes) > REMEMBERED:
            self._changes.popleft()
        self._news = _set(self._news)

    async def spread(self) -> None:
        """Return once nobody acts on the state before what has been published by now."""
        number = self.number
        while True:
            heard = self._heard
            now = self._forget()
            behind = [one.until for one in self._readers.values() if one.has < number]
            if not behind:
                return
            try:
                async with asyncio.timeout(max(0.001, min(behind) - now)):
                    await heard.wait()
            except TimeoutError:
                continue

    async def answer(self, caller: Service, body: bytes) -> Page:
        """Answer a follower: at once when there is something, else when there is, or soon.

        Raises:
            msgspec.DecodeError: the question can not be read.
            Unavailable: the follower would act on what it has for too long, or there are too many.
        """
        asked = decode(body, Follow)
        if not 0 < asked.bound <= self.bound:
            raise Unavailable(
                Reason.PEER_UNAVAILABLE,
                f"a view may be acted on for at most {self.bound:g} s here: set the same for both",
            )
        if len(asked.reader) > MAX_READER_NAME or len(self._readers) > MAX_READERS:
            self._forget()
            if len(asked.reader) > MAX_READER_NAME or len(self._readers) > MAX_READERS:
                raise Unavailable(Reason.PEER_UNAVAILABLE, "too many follow")
        self._note(caller, asked)
        if asked.leaving:
            return self._page()
        if asked.instance == self.instance and asked.after == self.number:
            await self._wait()
        self.owner()
        missing = self._after(asked)
        if missing is None:
            return self._page(whole=msgspec.Raw(encode(self.whole(caller))))
        return self._page(
            changes=tuple(msgspec.Raw(encode(self.part(caller, change))) for change in missing)
        )

    def _forget(self) -> float:
        """Drop readers that act on nothing any more; return the time it is."""
        now = self.clock.monotonic()
        self._readers = {key: one for key, one in self._readers.items() if one.until > now}
        return now

    def _note(self, caller: Service, asked: Follow) -> None:
        self._readers.pop((caller, ""), None)
        key = (caller, asked.reader)
        if asked.leaving:
            self._readers.pop(key, None)
        else:
            has = asked.after if asked.instance == self.instance else -1
            self._readers[key] = _Reader(has, self.clock.monotonic() + asked.bound)
        self._heard = _set(self._heard)

    async def _wait(self) -> None:
        news = self._news
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await news.wait()
        except TimeoutError:
            return

    def _after(self, asked: Follow) -> list[T] | None:
        """The changes that come after what is there, or `None` when only everything will do."""
        behind = self.number - asked.after
        if asked.instance != self.instance or not 0 <= behind <= len(self._changes):
            return None
        return [self._changes[place] for place in range(-behind, 0)]

    def _page(
        self,
        whole: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET,
        changes: tuple[msgspec.Raw, ...] = (),
    ) -> Page:
        return Page(self.instance, self.number, self.clock.now_us(), whole, changes)


def _set(event: asyncio.Event) -> asyncio.Event:
    """Wake all who wait for an event, and give the next ones another."""
    event.set()
    return asyncio.Event()
