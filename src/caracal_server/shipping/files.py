"""Where archives keep their files: a directory, or a bucket of an S3-compatible store."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from caracal_server.shipping.parts import Network, Undelivered

if TYPE_CHECKING:
    from obstore.store import S3Store

PUT_SECONDS: Final = 300.0
_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80


class Place(Protocol):
    """Keeps files by name; a second one of a name takes the place of the first."""

    destination: str

    async def put(self, name: str, content: bytes) -> None:
        """Return once the file is durable and whole. Raises `Undelivered`."""
        ...


class DirectoryPlace:
    """A directory of this machine, or one that is mounted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.destination = directory.absolute().as_uri()

    async def put(self, name: str, content: bytes) -> None:
        try:
            await asyncio.to_thread(write_durably, self._directory / name, content)
        except OSError as fault:
            raise Undelivered(f"can not write {name}: {fault.strerror}") from None


class BucketPlace:
    """A bucket. Where it leads is checked before each file; see docs/shipping.md for what that leaves."""

    def __init__(
        self, url: str, endpoint: str, network: Network, connect: Callable[[], "S3Store"]
    ) -> None:
        self.destination = url
        parts = urlsplit(endpoint)
        default = _HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT
        self._host, self._port = parts.hostname or "", parts.port or default
        self._network = network
        self._connect = connect
        self._store: S3Store | None = None

    async def put(self, name: str, content: bytes) -> None:
        await self._network.addresses(self._host, self._port)
        import obstore  # noqa: PLC0415 - only where a bucket is used: the `export` extra
        from obstore.exceptions import BaseError  # noqa: PLC0415 - likewise

        try:
            self._store = self._store or self._connect()
            async with asyncio.timeout(PUT_SECONDS):
                await obstore.put_async(self._store, name, content)
        except TimeoutError:
            raise Undelivered(f"{self.destination}: too slow") from None
        except (BaseError, OSError, ValueError) as fault:
            why = type(fault).__name__  # the text may repeat a request, and what it was signed with
            raise Undelivered(f"{self.destination}: the store failed ({why})") from None


def write_durably(file: Path, content: bytes) -> None:
    """Put a file in place at once and for good. Raises `OSError`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.part")
    with draft.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)
    _sync_directories(file.parent)


def _sync_directories(directory: Path) -> None:
    """The entries of new directories are to last, too."""
    for one in (directory, *directory.parents[:3]):
        handle = os.open(one, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
