"""What shipping works with, for real: the read API, the record of exports, and guarded ways out."""

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from caracal_server.adapters.http.client import PooledUpstreamClient, verifying_context
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.adapters.http.resolver import SystemResolver
from caracal_server.cli.entries import EntryPage
from caracal_server.cli.failures import CommandFailed
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import SYSTEM_LOG, list_zones
from caracal_server.ports.upstream import IPAddress, UpstreamClient, UpstreamError
from caracal_server.shipping.batches import Log, Placed
from caracal_server.shipping.parts import SourceFailed, Undelivered

PAGE: Final = 500

Answer = TypeVar("Answer")


class _Recorded(msgspec.Struct, frozen=True):
    index: int


class ServerSource:
    """Implements `Source` on the read API. Sizes are asked for once a poll, not once a sink."""

    def __init__(self, server: Server, poll_seconds: float) -> None:
        self._server = server
        self._poll_seconds = poll_seconds
        self._sizes: dict[Log, tuple[float, int]] = {}
        self._asking = asyncio.Lock()
        self.names: dict[str, str] = {}

    async def logs(self) -> Sequence[Log]:
        return await _asked(self._logs)

    def _logs(self) -> Sequence[Log]:
        self.names = {zone.id: zone.name for zone in list_zones(self._server)}
        return [self._log(zone) for zone in (*self.names, SYSTEM_LOG)]

    def _log(self, zone: str) -> Log:
        key = self._server.text(path_of("v1", "zones", zone, "evidence", "key"))
        return Log(zone, key.partition("+")[0])

    async def size(self, log: Log) -> int:
        async with self._asking:
            at, size = self._sizes.get(log, (0.0, 0))
            if not at or time.monotonic() - at >= self._poll_seconds:
                size = await _asked(lambda: self._size(log))
                self._sizes[log] = (time.monotonic(), size)
            return size

    def _size(self, log: Log) -> int:
        page = self._server.get(_path(log), EntryPage, limit=1)
        return page.items[0].index + 1 if page.items else 0

    async def read(self, log: Log, first: int, end: int) -> Sequence[Placed]:
        return await _asked(lambda: self._read(log, first, end))

    def _read(self, log: Log, first: int, end: int) -> Sequence[Placed]:
        found: list[Placed] = []
        before = end
        while before > first:
            limit = min(PAGE, before - first)
            page = self._server.get(_path(log), EntryPage, limit=limit, cursor=before)
            beyond = before
            for view in page.items[:limit]:
                if view.index != before - 1:
                    break
                before = view.index
                found.append(Placed(view.index, view.leaf_hash, bytes(view.entry)))
            if before == beyond:
                raise SourceFailed(
                    f"the log does not have entry {before - 1} any more, or not here"
                )
        return found[::-1]


class ServerRecorder:
    """Implements `Recorder` with a token of the scope `write`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def record(
        self, log: Log, first: int, end: int, destination: str, manifest_sha256: str
    ) -> None:
        body = msgspec.json.encode(
            {
                "first_index": first,
                "end_index": end,
                "destination": destination,
                "manifest_sha256": manifest_sha256,
            }
        )
        await _asked(lambda: self._server.send("POST", _path(log) + "/exports", _Recorded, body))


class GuardedNetwork:
    """Implements `Network`: every name is resolved once, and only what the guard permits is dialled."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        self._resolver = SystemResolver()

    async def addresses(self, host: str, port: int) -> Sequence[IPAddress]:
        try:
            try:
                found: Sequence[IPAddress] = [ip_address(host)]
            except ValueError:
                found = await self._resolver.resolve(host, port)
            return self._guard.permitted(host, port, found)
        except OSError as fault:
            raise Undelivered(f"{host}: {fault.strerror or fault}") from None
        except UpstreamError as fault:
            raise Undelivered(str(fault)) from None

    def http(self, ca_file: Path | None) -> UpstreamClient:
        return PooledUpstreamClient(self._guard, tls=verifying_context(ca_file))

    def close(self) -> None:
        self._resolver.close()


def _path(log: Log) -> str:
    return path_of("v1", "zones", log.zone, "evidence")


async def _asked(question: Callable[[], Answer]) -> Answer:
    try:
        return await asyncio.to_thread(question)
    except CommandFailed as fault:
        raise SourceFailed(fault.line) from None
