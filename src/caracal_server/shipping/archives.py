"""Sinks that keep files of ranges of entries: Parquet and JSON Lines."""

import asyncio
from collections.abc import Callable
from hashlib import sha256

from caracal_server.shipping.batches import Batch
from caracal_server.shipping.columns import parquet
from caracal_server.shipping.config import Form
from caracal_server.shipping.files import Place
from caracal_server.shipping.forms import render
from caracal_server.shipping.parts import StoredFile


class Archive:
    """Implements `ArchiveSink`: a file is named by its range, so a second delivery overwrites the first."""

    def __init__(self, place: Place, suffix: str, content: Callable[[Batch], bytes]) -> None:
        self._place = place
        self._suffix = suffix
        self._content = content
        self.destination = place.destination

    async def deliver(self, batch: Batch) -> StoredFile:
        content = await asyncio.to_thread(self._content, batch)
        name = f"{batch.object_name}.{self._suffix}"
        await self._place.put(name, content)
        digest = sha256(content).hexdigest()
        return StoredFile(name, batch.first, batch.end, digest, len(content))

    async def put(self, name: str, content: bytes) -> None:
        await self._place.put(name, content)

    async def aclose(self) -> None:
        """Nothing is held open."""


def parquet_archive(place: Place) -> Archive:
    return Archive(place, "parquet", parquet)


def jsonl_archive(place: Place, form: Form) -> Archive:
    return Archive(place, "jsonl", lambda batch: b"".join(it + b"\n" for it in render(batch, form)))
