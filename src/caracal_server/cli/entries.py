"""Entries of evidence as the server hands them out, and one line about each."""

from collections.abc import Iterator, Mapping

import msgspec

from caracal.authority.events import Entry, Verdict
from caracal.evidence.commitments import Openings
from caracal.evidence.errors import EvidenceError
from caracal.wire.opened_entries import opened_entry
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.output import instant
from caracal_server.cli.server import Server, path_of

PAGE = 500


class EntryView(msgspec.Struct, frozen=True):
    """An entry and its place; `entry` is byte for byte what was hashed.

    Attributes:
        openings: what opens its commitments, by field; `None` where nothing is left that does.
        shard: whose log it stands in; the zone's own when empty.
    """

    index: int
    leaf_hash: str
    entry: msgspec.Raw
    openings: Openings | None = None
    shard: str = ""

    @property
    def place(self) -> str:
        return place_of(self.shard, self.index)


class EntryPage(msgspec.Struct, frozen=True):
    """Newest first; `next_cursor` is null on the last page."""

    items: tuple[EntryView, ...]
    next_cursor: str | None = None


def search(server: Server, log: str, filters: Mapping[str, str | None]) -> Iterator[EntryView]:
    """Yield the entries that fit, newest first, page by page; those that shards recorded in their turn."""
    path = path_of("v1", "zones", log, "evidence", "story")
    cursor: str | None = None
    while True:
        page = server.get(path, EntryPage, limit=PAGE, cursor=cursor, **filters)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def place_of(shard: str, index: int) -> str:
    """How a place is written: the index, after the name of the shard if it is one's."""
    return f"{shard}:{index}" if shard else str(index)


def read_entry(view: EntryView) -> Entry | None:
    """The entry, opened as far as it can be; `None` if it is of a kind that this version does not know."""
    try:
        entry = msgspec.json.decode(view.entry, type=Entry)
        return opened_entry(entry, view.openings or {})
    except msgspec.ValidationError:
        return None
    except EvidenceError as fault:
        raise CommandFailed(
            ExitCode.REFUSED,
            f"what the server says opens entry {view.place} does not: {fault}",
            "have the log examined: `caracal status` tells what its own check says",
        ) from None


def entry_line(view: EntryView) -> str:
    """One line about an entry: place, time, verdict, kind, who, what, why."""
    entry = read_entry(view)
    if entry is None:
        return f"{view.place:>7}  of a kind that this version of caracal does not know"
    who = entry.application_name or entry.actor or entry.application
    verdict = "" if entry.verdict is Verdict.NONE else entry.verdict.value
    start = f"{view.place:>7}  {instant(entry.at)}  {verdict:<6}  {entry.kind:<17}"
    return "  ".join(part for part in (start, who, _what(entry), _why(entry)) if part)


def _what(entry: Entry) -> str:
    if entry.operation or entry.resource:
        asked = " ".join(part for part in (entry.operation, entry.scopes) if part)
        return " on ".join(part for part in (asked, entry.resource) if part)
    if entry.status:
        return f"upstream answered {entry.status}"
    return entry.target or entry.session


def _why(entry: Entry) -> str:
    return ": ".join(part for part in (entry.reason, entry.detail) if part)
