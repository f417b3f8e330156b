"""What opens the commitments of entries, held to them whenever it is read."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from caracal.authority.identifiers import ZoneId
from caracal.evidence.commitments import Openings, verify_openings
from caracal.evidence.errors import EvidenceError
from caracal.evidence.openings import OpeningsWriter
from caracal_server.audit.integrity import Integrity
from caracal_server.ports.evidence import EvidenceStore, StoredEntry

CHUNK_ENTRIES: Final = 512


class _Committed(msgspec.Struct, frozen=True):
    committed: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Committed).decode


class Opened:
    """Reads openings. One that opens nothing is left out, and turns readiness red."""

    def __init__(self, store: EvidenceStore, integrity: Integrity) -> None:
        self._store = store
        self._integrity = integrity

    async def of(self, zone_id: ZoneId, entries: Sequence[StoredEntry]) -> dict[int, Openings]:
        """The openings of these entries, of those that have any left."""
        closed = {entry.index: entry for entry in entries if b'"committed":{' in entry.data}
        if not closed:
            return {}
        try:
            found = await self._store.openings(zone_id, list(closed))
        except EvidenceError as fault:
            self._integrity.report(zone_id, f"what opens commitments can not be read: {fault}")
            return {}
        opened: dict[int, Openings] = {}
        for index, openings in found.items():
            try:
                verify_openings(openings, _decode(closed[index].data).committed)
            except (EvidenceError, msgspec.DecodeError) as fault:
                self._integrity.report(zone_id, f"entry {index}: {fault}")
            else:
                opened[index] = openings
        return opened

    async def file(self, zone_id: ZoneId, origin: str, size: int) -> AsyncIterator[bytes]:
        """What opens the commitments of the entries before `size`, as a file of openings, in pieces."""
        writer = OpeningsWriter(origin)
        yield writer.header()
        waiting: list[StoredEntry] = []
        async for entry in self._store.scan(zone_id, await self._store.first_kept(zone_id), size):
            waiting.append(entry)
            if len(waiting) == CHUNK_ENTRIES:
                yield await self._rendered(writer, zone_id, waiting)
                waiting.clear()
        yield await self._rendered(writer, zone_id, waiting)
        yield writer.closing()

    async def _rendered(
        self, writer: OpeningsWriter, zone_id: ZoneId, entries: Sequence[StoredEntry]
    ) -> bytes:
        opened = await self.of(zone_id, entries)
        return b"".join(writer.entry(index, opened[index]) for index in sorted(opened))
