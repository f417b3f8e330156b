"""`caracal evidence drop`: end what a log says before some point, once it was exported."""

from datetime import datetime
from typing import Annotated

import msgspec
import typer

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
from caracal_server.cli.zone_choice import choose_log


class DroppedView(msgspec.Struct, frozen=True):
    """What became of it, as the server says."""

    first_index: int
    end_index: int
    index: int


def drop(
    before: Annotated[
        str,
        typer.Option("--before", metavar="INDEX|INSTANT", help="An index, or an RFC 3339 instant."),
    ],
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Drop entries from the front of a log, whole bundles of them, and only what was exported."""
    body = msgspec.json.encode({"before": _parse(before)})
    with Server.connect(server, token_file, data, "drop entries") as connected:
        path = path_of("v1", "zones", choose_log(connected, zone), "evidence", "drop")
        dropped = connected.send("POST", path, DroppedView, body)
    if json:
        print_json(dropped)
        return
    gone = f"entries {dropped.first_index} to {dropped.end_index - 1}"
    say(f"dropped: {gone}, as entry {dropped.index} says; their hashes remain")


def _parse(text: str) -> int | datetime:
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        instant = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{text!r} is neither an index nor an instant",
            "an instant reads like 2026-01-31T00:00:00Z",
        )
    return instant
