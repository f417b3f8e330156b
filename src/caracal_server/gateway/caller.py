"""The caller's side of a call: its body as it comes, and whether it is still there."""

import asyncio
import hashlib
from typing import Final

from caracal.authority.outcomes import Reason, Refused
from caracal_server.gateway.passages import CallFailed, Passage
from caracal_server.web.asgi import Message, Receive

WATCH_AFTER_SECONDS: Final = 0.25
"""A call that is over sooner is not worth a task that waits for its caller to leave."""

_GONE = Refused(Reason.CLIENT_GONE, "the caller closed the connection")


class Body:
    """Iterates over the caller's body, at most `limit` bytes of it, none `idle_seconds` after another.

    Attributes:
        late: the caller stopped sending, and may still be there.
        sum: SHA-256 of what has been read; `None` where it is not taken.
        whole: all of it has been read.

    Raises:
        CallFailed: while iterating: it is larger, or the caller is gone or sends nothing.
    """

    __slots__ = (
        "_idle_seconds",
        "_limit",
        "_receive",
        "_taken",
        "late",
        "read_bytes",
        "sum",
        "whole",
    )

    def __init__(
        self, receive: Receive, limit: int, idle_seconds: float, *, digests: bool = False
    ) -> None:
        self._receive = receive
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._taken = b""
        self.read_bytes = 0
        self.sum = hashlib.sha256() if digests else None
        self.late = False
        self.whole = False

    def __aiter__(self) -> "Body":
        return self

    async def take(self, limit: int) -> bytes:
        """All of it, of at most `limit` bytes, within `idle_seconds` altogether; iterate to get it again.

        Raises:
            CallFailed: it is larger, or the caller is gone or too slow.
        """
        self._limit = min(self._limit, limit)
        try:
            async with asyncio.timeout(self._idle_seconds):
                self._taken = b"".join([chunk async for chunk in self])
        except TimeoutError:
            raise self._too_late("the body was not whole within") from None
        return self._taken

    def taken(self) -> bytes:
        """What `take` returned, until it has been iterated over."""
        return self._taken

    async def __anext__(self) -> bytes:
        if self._taken:
            taken, self._taken = self._taken, b""
            return taken
        while not self.whole:
            message = await self._next_message()
            if message["type"] != "http.request":
                raise CallFailed(_GONE)
            self.whole = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self.read_bytes += len(chunk)
            if self.read_bytes > self._limit:
                raise CallFailed(too_large(self._limit))
            if chunk:
                if self.sum is not None:
                    self.sum.update(chunk)
                return chunk
        raise StopAsyncIteration

    def digest(self) -> str:
        """Hex SHA-256 of what has been read; empty without any, or where it is not taken."""
        return "" if self.sum is None or not self.read_bytes else self.sum.hexdigest()

    async def _next_message(self) -> Message:
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await self._receive()
        except TimeoutError:
            raise self._too_late("nothing of the body came for") from None

    def _too_late(self, what: str) -> CallFailed:
        self.late = True
        return CallFailed(Refused(Reason.CLIENT_GONE, f"{what} {self._idle_seconds:g} s"))


class Watch:
    """Ends a passage whose caller leaves. Nobody else may receive once its body is whole."""

    __slots__ = ("_after", "_body", "_passage", "_receive", "_task", "_timer")

    def __init__(
        self,
        receive: Receive,
        body: Body | None,
        passage: Passage,
        after_seconds: float = WATCH_AFTER_SECONDS,
    ) -> None:
        self._after = after_seconds
        self._receive = receive
        self._body = body
        self._passage = passage
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(after_seconds, self._begin)

    def close(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._body is not None and not self._body.whole:
            # Whoever reads the body notices.
            self._timer = loop.call_later(self._after, self._begin)
        else:
            self._task = loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._passage.stop(_GONE)


def too_large(limit: int) -> Refused:
    return Refused(Reason.BODY_TOO_LARGE, f"a body has at most {limit} bytes")
