"""`caracal evidence shred` and `redact`: forget what entries commit to; the entries and proofs stay."""

from typing import Annotated

import msgspec
import typer

from caracal_server.adapters.clock import SystemClock
from caracal_server.cli.entries import place_of
from caracal_server.cli.evidence_filters import SubjectOption
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_json, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.spans_of_time import since_when
from caracal_server.cli.zone_choice import choose_log

ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for the record; name nobody in it.")
]


class ErasedIn(msgspec.Struct, frozen=True):
    """What became of it in one log."""

    count: int
    index: int | None


class ErasedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of it, as the server says: in all, and in each shard."""

    count: int
    index: int | None
    shards: dict[str, ErasedIn] = {}


def shred(
    reason: ReasonOption,
    subject: SubjectOption = None,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="INSTANT", help="Such as 365d, or 2026-01-31T00:00:00Z."),
    ] = None,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Erase for good what opens commitments about a user, or of entries before an instant."""
    if (subject is None) == (before is None):
        raise CommandFailed(
            ExitCode.USAGE, "name whose openings, or until when", "pass --subject or --before"
        )
    asked: dict[str, object] = {"reason": reason}
    if subject is not None:
        asked["person"] = {"issuer": subject[0], "subject": subject[1]}
    else:
        asked["before"] = since_when(before, SystemClock().now())
    with Server.connect(server, token_file, data, "shred openings") as connected:
        path = path_of("v1", "zones", choose_log(connected, zone), "evidence", "shred")
        erased = connected.send("POST", path, ErasedView, msgspec.json.encode(asked))
    _show(erased, "shredded", json=json)


def redact(
    index: Annotated[int, typer.Argument(min=0, help="The entry's index in the log.")],
    field: Annotated[str, typer.Option("--field", metavar="NAME", help="Such as subject.")],
    reason: ReasonOption,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Erase for good what opens one commitment of one entry."""
    asked = msgspec.json.encode({"index": index, "field": field, "reason": reason})
    with Server.connect(server, token_file, data, f"redact entry {index}") as connected:
        path = path_of("v1", "zones", choose_log(connected, zone), "evidence", "redact")
        erased = connected.send("POST", path, ErasedView, asked)
    _show(erased, "redacted", json=json)


def _show(erased: ErasedView, done: str, *, json: bool) -> None:
    if json:
        print_json(erased)
    elif not erased.count:
        say("nothing is held that opens such a commitment")
    else:
        what = "entry" if erased.count == 1 else "entries"
        told = {"": erased.index} | {name: one.index for name, one in erased.shards.items()}
        places = [place_of(name, index) for name, index in told.items() if index is not None]
        where = (
            f"entry {places[0]} says" if len(places) == 1 else f"entries {', '.join(places)} say"
        )
        say(f"{done}: {erased.count} {what}, as {where}; every proof holds as before")
