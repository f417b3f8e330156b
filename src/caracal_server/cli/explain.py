"""`caracal explain`: the story of one request."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from caracal_server.cli.entries import EntryView, read_entry, search
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_json, say
from caracal_server.cli.policy_versions import versions
from caracal_server.cli.remedies import tell_remedy
from caracal_server.cli.server import Server
from caracal_server.cli.story import Told, episodes, tell
from caracal_server.cli.zone_choice import SYSTEM_LOG, ZoneRow, choose_zone
from caracal_server.cli.zones import load_zone

app = typer.Typer()


class Explained(msgspec.Struct, frozen=True):
    """What `--json` prints: the story in sentences, and the entries that it is told from."""

    request: str
    zone: str
    stories: tuple[tuple[str, ...], ...]
    entries: tuple[EntryView, ...]


@app.command()
def explain(
    request_id: Annotated[str, typer.Argument(help="What an answer carried as its request id.")],
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what became of a request, who asked, why it was decided so, and where that is recorded."""
    with Server.connect(server, token_file, data, f"explain {request_id}") as connected:
        log = _choose(connected, zone)
        views = tuple(search(connected, log.id, {"request": request_id}))[::-1]
        names = _names(connected, log, views)
        told = [Told(view.place, entry) for view in views if (entry := read_entry(view))]
        texts = _texts(connected, log, told)
    if not views:
        raise CommandFailed(
            ExitCode.REFUSED,
            f"nothing is recorded of the request {request_id!r} in the log of {log.name}",
            "check the id and --zone; what no zone could be told from is under --zone system",
        )
    place = "the system" if log.id == SYSTEM_LOG else f"zone {log.name}"
    stories = [
        tell(one, place, names) + tell_remedy(one.decision.entry, texts) for one in episodes(told)
    ]
    if json:
        print_json(Explained(request_id, log.name, tuple(map(tuple, stories)), views))
        return
    if len(views) > len(told):
        say(f"Entries of a kind that this version does not know: {len(views) - len(told)}.")
    for number, story in enumerate(stories):
        if number:
            say()
        for line in story:
            say(line)


def _choose(server: Server, named: str | None) -> ZoneRow:
    if named == SYSTEM_LOG:
        return ZoneRow(SYSTEM_LOG, SYSTEM_LOG, 0)
    return choose_zone(server, named)


def _texts(server: Server, log: ZoneRow, told: Iterable[Told]) -> dict[str, str]:
    """The texts of the policy versions that entries name, by digest."""
    wanted = {one.entry.policy for one in told} - {""}
    if not wanted:
        return {}
    return {one.digest: one.text for one in versions(server, log.id) if one.digest in wanted}


def _names(server: Server, log: ZoneRow, views: tuple[EntryView, ...]) -> dict[str, str]:
    """Names of applications, where entries are without one; of a zone only."""
    entries = [entry for view in views if (entry := read_entry(view))]
    nameless = any(entry.application and not entry.application_name for entry in entries)
    if log.id == SYSTEM_LOG or not nameless:
        return {}
    return {row.id: row.name for row in load_zone(server, log.id).applications}
