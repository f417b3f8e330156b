"""Follows the streams of revocations on a Valkey server and keeps a view up to date.

Every process reads the streams from their beginning, so nothing has to be stored for it; the client is
`redis.asyncio.Redis`, from the extra `valkey`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Protocol

from caracal.tokens.mandates import LEEWAY
from caracal.verify import clock
from caracal.verify.revocations import FollowedRevocations
from caracal.verify.stream_events import Ended, InvalidEvent, read_event
from caracal.wire.revocation_streams import DELEGATIONS, MIN_KEY_BYTES, SESSIONS

BATCH: Final = 500
BLOCK_MS: Final = 1_000
READ_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 1.0

Text = str | bytes


class StreamClient(Protocol):
    """As much of a client as is needed."""

    def xread(
        self, streams: dict[Any, Any], count: int | None = None, block: int | None = None
    ) -> Awaitable[Any]: ...


class ValkeyFeed:
    """One reader for one view. While reading fails, the view grows old, and then refuses.

    Attributes:
        rejected: how many entries had no valid signature or said nothing; they are passed over.
    """

    def __init__(
        self,
        client: StreamClient,
        view: FollowedRevocations,
        *,
        key: bytes,
        now: Callable[[], datetime] = clock.utc_now,
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        """Begin at the beginning.

        Args:
            client: to the server that holds the streams.
            view: what is kept up to date.
            key: of the signatures, at least 32 bytes; entries that are not signed do not count.
            now: the wall clock.
            seconds: the clock of the view's age.

        Raises:
            ValueError: the key is too short.
        """
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key has at least {MIN_KEY_BYTES} bytes")
        self.rejected = 0
        self._client = client
        self._view = view
        self._key = key
        self._now = now
        self._seconds = seconds
        self._after = {SESSIONS: "0-0", DELEGATIONS: "0-0"}

    async def follow(self) -> NoReturn:
        """Read until cancelled; what goes wrong is tried again after a second."""
        while True:
            try:
                await self.read()
            except Exception:  # noqa: BLE001 (the view grows old meanwhile, and refuses)
                await asyncio.sleep(AGAIN_SECONDS)

    async def read(self) -> None:
        """Read once: what is there, or what comes within a second.

        Raises:
            Exception: whatever the client raises; nothing of that read was applied.
        """
        begun = self._seconds()
        async with asyncio.timeout(READ_SECONDS):
            answer = await self._client.xread(dict(self._after), count=BATCH, block=BLOCK_MS)
        found = dict(batches(answer))
        for stream, entries in found.items():
            for entry, fields in entries:
                self._apply(stream, entry, fields)
                self._after[stream] = entry
        if all(len(entries) < BATCH for entries in found.values()):
            self._view.as_of(begun)

    def _apply(self, stream: str, entry: str, fields: Mapping[str, str]) -> None:
        try:
            event = read_event(stream, fields, self._key)
        except InvalidEvent:
            self.rejected += 1
            return
        if not isinstance(event, Ended):
            self._view.view.note_epoch(event.zone_id, event.epoch)
            return
        at = min(self._now(), _added(entry) + LEEWAY)
        for anchor in event.anchors:
            self._view.view.revoke(anchor, at)


def _added(entry: str) -> datetime:
    """When the server took an entry: its id begins with milliseconds since 1970."""
    return datetime.fromtimestamp(int(entry.partition("-")[0]) / 1_000, UTC)


def batches(answer: Any) -> Iterable[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """The entries of each stream, from either form in which clients hand them over."""
    pairs = answer.items() if isinstance(answer, Mapping) else answer or ()
    for stream, entries in pairs:
        nested = len(entries) == 1 and isinstance(entries[0], list) and isinstance(answer, Mapping)
        listed = entries[0] if nested else entries
        yield (
            _text(stream),
            [
                (_text(entry), {_text(name): _text(value) for name, value in fields.items()})
                for entry, fields in listed
            ],
        )


def _text(value: Text) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
