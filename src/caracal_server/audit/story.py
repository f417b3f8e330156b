"""The story of a zone: its log and those of its shards, as one, in the order of sequencing."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import merge
from typing import Final

import msgspec

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.evidence.commitments import Openings
from caracal_server.audit.opened import Opened
from caracal_server.audit.queries import EvidenceReader
from caracal_server.ports.evidence import EvidenceQuery, StoredEntry
from caracal_server.ports.shards import Found, Shard
from caracal_server.web.peers.services import is_shard

_AT_END: Final = 0
"""A place that no entry comes before."""
MAX_AT: Final = 2**63


class _Sequenced(msgspec.Struct, frozen=True):
    sequenced_at: int = 0


_when = msgspec.json.Decoder(_Sequenced).decode


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the story, and the shard whose log it stands in; that of the zone itself when empty."""

    shard: str
    entry: StoredEntry
    openings: Openings | None


@dataclass(frozen=True, slots=True)
class StoryPage:
    """Newest first, and where to go on; `None` on the last page."""

    lines: tuple[Line, ...]
    cursor: str | None


class Story:
    """Asks all logs at once. One that does not answer refuses the whole, rather than leaving a hole."""

    def __init__(
        self, reader: EvidenceReader, opened: Opened, shards: Mapping[str, Shard], limit: int
    ) -> None:
        self._reader = reader
        self._opened = opened
        self._shards = shards
        self._limit = limit

    async def search(
        self, zone_id: ZoneId, query: EvidenceQuery, cursor: str | None
    ) -> StoryPage | Refused:
        """One page; `cursor` is what the page before said.

        Raises:
            Unavailable: a shard does not answer.
        """
        places = {} if cursor is None else read_cursor(cursor)
        if places is None or not places.keys() <= {"", *self._shards}:
            return Refused(
                Reason.REQUEST_MALFORMED, "cursor is not one that a page of this story gave"
            )
        query = replace(query, limit=min(query.limit, self._limit))
        names = ("", *self._shards)
        found = await asyncio.gather(
            *(
                self._search(name, zone_id, replace(query, after_index=places.get(name)))
                for name in names
            )
        )
        return merged(dict(zip(names, found, strict=True)), query.limit, places)

    async def _search(self, shard: str, zone_id: ZoneId, query: EvidenceQuery) -> Found:
        if query.after_index == _AT_END:
            return Found(())
        if shard:
            return await self._shards[shard].search(zone_id, query)
        page = await self._reader.search(zone_id, query)
        return Found(page.entries, await self._opened.of(zone_id, page.entries))


def merged(found: Mapping[str, Found], limit: int, places: Mapping[str, int]) -> StoryPage:
    """The newest of what each log gave, no more than each one's order allows.

    Args:
        found: of each log, by its shard, newest first; fewer than `limit` if it has no more.
        limit: of the page.
        places: where each log was gone on from.
    """
    logs = [
        [(-at, shard, -entry.index, entry) for at, entry in _timed(one.entries)]
        for shard, one in found.items()
    ]
    ordered = [(shard, entry) for _, shard, _, entry in merge(*logs, key=lambda one: one[:3])]
    taken = ordered[:limit]
    ended = {shard: len(one.entries) < limit for shard, one in found.items()}
    after = dict(places)
    for shard, one in found.items():
        mine = [entry.index for name, entry in taken if name == shard]
        if len(mine) == len(one.entries) and ended[shard]:
            after[shard] = _AT_END
        elif mine:
            after[shard] = mine[-1]
        else:
            # What it records from now on is newer than this page.
            after[shard] = one.entries[0].index + 1
    lines = tuple(
        Line(shard, entry, found[shard].openings.get(entry.index)) for shard, entry in taken
    )
    over = all(after.get(shard) == _AT_END for shard in found)
    return StoryPage(lines, None if over else render_cursor(after))


def _timed(entries: Iterable[StoredEntry]) -> Iterator[tuple[int, StoredEntry]]:
    """When each was sequenced; one that was made unreadable stands where its log has it."""
    at = MAX_AT
    for entry in entries:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            at = _when(entry.data).sequenced_at
        yield at, entry


def render_cursor(places: Mapping[str, int]) -> str:
    """`shard:index` of each log, separated by commas."""
    return ",".join(f"{shard}:{index}" for shard, index in sorted(places.items()))


def read_cursor(text: str) -> dict[str, int] | None:
    """Read what `render_cursor` renders; `None` if it is not that."""
    places: dict[str, int] = {}
    for part in text.split(","):
        shard, _, index = part.partition(":")
        if shard in places or not (shard == "" or is_shard(shard)):
            return None
        if not (index.isascii() and index.isdecimal() and len(index) <= 16):  # noqa: PLR2004 (2^53)
            return None
        places[shard] = int(index)
    return places
