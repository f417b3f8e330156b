"""An `EvidenceLog` that keeps what it is given, and fails or waits when told to."""

import asyncio
from dataclasses import dataclass, field

from caracal.authority.events import Entry, Kind
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.ports.evidence import Receipt


@dataclass
class RecordingLog:
    """Entries in their order.

    Attributes:
        fails: what `append` does: "" records, "before" fails with nothing recorded, "after" records and
            fails all the same, "oddly" raises what no port announces.
        full: whether `enqueue` refuses.
        gate: `append` waits for it once it is set.
        waited: the entries that somebody waited for.
    """

    entries: list[Entry] = field(default_factory=list)
    waited: list[Entry] = field(default_factory=list)
    fails: str = ""
    full: bool = False
    gate: asyncio.Event | None = None

    async def append(self, entry: Entry) -> Receipt:
        if self.gate is not None:
            await self.gate.wait()
        if self.fails == "oddly":
            raise RuntimeError("a secret in an exception")
        if self.fails == "before":
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "the disk is full")
        self.entries.append(entry)
        self.waited.append(entry)
        if self.fails == "after":
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "nobody knows")
        index = len(self.entries) - 1
        return Receipt(entry.zone, index, b"", f"{entry.zone}.{index}.code")

    def enqueue(self, entry: Entry) -> None:
        if self.full:
            raise Unavailable(Reason.OVERLOADED, "too many entries wait")
        self.entries.append(entry)

    def of(self, kind: Kind) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind is kind]
