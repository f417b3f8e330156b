"""`caracal evidence tail`: the newest entries, and those that follow."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Final

import msgspec
import typer

from caracal_server.adapters.clock import SystemClock
from caracal_server.cli.entries import PAGE, EntryView, entry_line, search
from caracal_server.cli.evidence_filters import SubjectOption, WhereOption, of_subject, read_where
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_json, say
from caracal_server.cli.server import Server
from caracal_server.cli.spans_of_time import since_when
from caracal_server.cli.zone_choice import choose_log

POLL_SECONDS: Final = 0.5
LOOK_BACK: Final = PAGE
"""The newest entries that are looked through: what a log whose clock is behind records comes among them."""


class _Entries(msgspec.Struct, frozen=True):
    """What `--json` prints, oldest first."""

    entries: tuple[EntryView, ...]


@dataclass(frozen=True, slots=True)
class _Tail:
    """One log through one set of filters."""

    server: Server
    log: str
    filters: dict[str, str | None]

    def newest(self, lines: int) -> list[EntryView]:
        """The newest entries, oldest first."""
        return list(islice(search(self.server, self.log, self.filters), lines))[::-1]

    def after(self, seen: Mapping[str, int]) -> list[EntryView]:
        """Everything beyond an index of each log, oldest first."""
        found: list[EntryView] = []
        known = 0
        for view in search(self.server, self.log, self.filters):
            if view.index > seen.get(view.shard, -1):
                found.append(view)
            else:
                known += 1
            # Before that many, `seen` knows every log there is.
            if known == LOOK_BACK:
                break
        return found[::-1]


def tail(
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many to begin with.")
    ] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on; with --json, one document per line.")
    ] = False,
    zone: ZoneOption = None,
    request: Annotated[str | None, typer.Option("--request", metavar="ID")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID")] = None,
    application: Annotated[str | None, typer.Option("--application", metavar="ID")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Such as exchange, call, session.end.")
    ] = None,
    verdict: Annotated[str | None, typer.Option("--verdict", help="allow or refuse.")] = None,
    where: WhereOption = None,
    subject: SubjectOption = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Such as 7d, or 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="As --since.")] = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show the newest entries, oldest first; --zone system shows what belongs to no zone."""
    filters = (
        read_where(where or [])
        | of_subject(subject)
        | {
            "request": request,
            "session": session,
            "application": application,
            "kind": kind,
            "verdict": verdict,
            "since": _instant(since),
            "until": _instant(until),
        }
    )
    with Server.connect(server, token_file, data, "read the evidence") as connected:
        log = _Tail(connected, choose_log(connected, zone), filters)
        if not follow:
            _show_all(log.newest(lines), json=json)
            return
        known = log.newest(max(lines, LOOK_BACK))
        _show(known[len(known) - min(lines, len(known)) :], json=json)
        _follow(log, known, json=json)


def _instant(text: str | None) -> str | None:
    at = since_when(text, SystemClock().now())
    return None if at is None else at.isoformat()


def _follow(log: _Tail, known: list[EntryView], *, json: bool) -> None:
    seen = _furthest({}, known)
    while True:
        time.sleep(POLL_SECONDS)
        found = log.after(seen)
        _show(found, json=json)
        seen = _furthest(seen, found)


def _furthest(seen: Mapping[str, int], views: list[EntryView]) -> dict[str, int]:
    """The highest index of each log so far."""
    furthest = dict(seen)
    for view in views:
        furthest[view.shard] = max(view.index, furthest.get(view.shard, -1))
    return furthest


def _show_all(found: list[EntryView], *, json: bool) -> None:
    if json:
        print_json(_Entries(tuple(found)))
    elif found:
        _show(found, json=json)
    else:
        say("no entries")


def _show(found: list[EntryView], *, json: bool) -> None:
    for view in found:
        if json:
            print_json(view)
        else:
            say(entry_line(view))
