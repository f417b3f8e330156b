"""Streams on a Valkey (or Redis) server."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from caracal.tokens.secret import Secret
from caracal.wire.revocation_feed import InvalidMessage, read_fields
from caracal.wire.revocation_streams import EVERYTHING, StreamEntry, proven
from caracal_server.ports.streams import StreamsCut, StreamsUnavailable

TIMEOUT_SECONDS: Final = 5.0
MAX_LENGTH: Final = 100_000
"""Of the two streams that stock clients read, approximately."""
LOOKED_AT: Final = 200
"""How many of the last entries are looked at for one of ours: others may write there, too."""
SLACK_MS: Final = 600_000


class ValkeyStreams:
    """Implements `RevocationStreams`."""

    def __init__(self, client: Redis, key: bytes) -> None:
        """Use a client whose answers are text; `key` is that of the signatures."""
        self._client = client
        self._key = key

    @classmethod
    def connect(cls, url: Secret, key: bytes, *, ca_file: str | None) -> "ValkeyStreams":
        """Make a client; it connects when it is used.

        Args:
            url: of the server; with `rediss` its certificate is verified.
            key: of the signatures.
            ca_file: certificates that are believed besides the system's.
        """
        tls: dict[str, Any] = {}
        if url.reveal().startswith("rediss:"):
            tls["ssl_ca_certs"] = ca_file
        client = Redis.from_url(
            url.reveal(),
            decode_responses=True,
            encoding_errors="surrogateescape",
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            **tls,
        )
        return cls(client, key)

    async def position(self) -> int:
        with _translated():
            answer: Any = await self._client.xrevrange(EVERYTHING, count=LOOKED_AT)
        return max((self._position_of(fields) for _entry, fields in answer or ()), default=0)

    def _position_of(self, fields: dict[str, str]) -> int:
        if not proven(EVERYTHING, fields, self._key):
            return 0
        try:
            message = read_fields(fields)
        except InvalidMessage:
            return 0
        return 0 if message is None else message.position

    async def add(
        self, entries: Sequence[StreamEntry], *, last: str | None, matters_from: int
    ) -> str:
        oldest = str(max(0, matters_from // 1_000 - SLACK_MS))
        with _translated():
            async with self._client.pipeline(transaction=True) as together:
                # In a pipeline these only note commands down.
                if last is not None:
                    _ = together.xrange(EVERYTHING, last, last)
                for entry in entries:
                    bound: dict[str, Any] = (
                        {"minid": oldest} if entry.stream == EVERYTHING else {"maxlen": MAX_LENGTH}
                    )
                    fields: dict[Any, Any] = dict(entry.fields)
                    _ = together.xadd(entry.stream, fields, approximate=True, **bound)
                answers: list[Any] = await together.execute()
        if last is not None and not answers[0]:
            raise StreamsCut
        return str(answers[-1])

    async def close(self) -> None:
        await self._client.aclose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError, ValueError) as fault:
        _require_wanted()
        # The words of a server may repeat what it was sent.
        raise StreamsUnavailable(type(fault).__name__) from None
    _require_wanted()


def _require_wanted() -> None:
    """The client turns a cancellation into an error of the connection, or loses it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
