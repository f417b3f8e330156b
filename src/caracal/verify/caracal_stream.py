"""Follows the stream on which Caracal publishes everything, and keeps a view up to date.

Unlike the streams of stock servers it says that its publisher lives, and what came before each entry: a
publisher that stopped, and entries that somebody took out, are told from a quiet day.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, NoReturn

from caracal.verify import clock
from caracal.verify.following import Following
from caracal.verify.revocations import FollowedRevocations
from caracal.verify.stream_events import InvalidEvent, prove
from caracal.verify.valkey_feed import (
    AGAIN_SECONDS,
    BATCH,
    BLOCK_MS,
    READ_SECONDS,
    StreamClient,
    batches,
)
from caracal.wire.revocation_feed import InvalidMessage, read_fields
from caracal.wire.revocation_streams import EVERYTHING, MIN_KEY_BYTES

PATIENCE: Final = 10
"""How many reads may find nothing before everything is read again."""
_START: Final = "0-0"


class CaracalStream:
    """One reader for one view. While the publisher is silent, the view grows old, and then refuses.

    Attributes:
        rejected: how many entries had no valid signature or could not be read; they are passed over.
    """

    def __init__(
        self,
        client: StreamClient,
        view: FollowedRevocations,
        *,
        key: bytes,
        zone_id: str | None = None,
        now: Callable[[], datetime] = clock.utc_now,
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        """Begin at the beginning.

        Args:
            client: to the server that holds the stream.
            view: what is kept up to date.
            key: of the signatures, at least 32 bytes; entries that are not signed do not count.
            zone_id: the one zone that is followed; all of them without it.
            now: the wall clock; it has to agree with the publisher's.
            seconds: the clock of the view's age.

        Raises:
            ValueError: the key is too short.
        """
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key has at least {MIN_KEY_BYTES} bytes")
        self.rejected = 0
        self._client = client
        self._following = Following(view, zone_id)
        self._key = key
        self._now = now
        self._seconds = seconds
        self._after = _START
        self._empty = 0

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
        asked = {EVERYTHING: self._after}
        async with asyncio.timeout(READ_SECONDS):
            answer = await self._client.xread(asked, count=BATCH, block=BLOCK_MS)
        found = [row for _stream, entries in batches(answer) for row in entries]
        for entry, fields in found:
            self._apply(fields)
            self._after = entry
        self._empty = 0 if found else self._empty + 1
        if self._empty > PATIENCE:
            # The publisher adds every second: a stream that was begun anew may count from elsewhere.
            self._after, self._empty = _START, 0

    def _apply(self, fields: dict[str, str]) -> None:
        try:
            prove(EVERYTHING, fields, self._key)
            message = read_fields(fields)
        except (InvalidEvent, InvalidMessage):
            self.rejected += 1
            return
        if message is not None:
            self._following.take(message, now=self._now(), seconds=self._seconds())
