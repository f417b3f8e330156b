"""`caracal application`: the secrets of registered software."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal_server.cli.bundle_file import replacing
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_fields, print_json, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import choose_zone

app = typer.Typer(help="Applications, and the secrets that they prove themselves with.")

MOST_OVERLAP_SECONDS: Final = 7 * 24 * 3600


class Renewed(msgspec.Struct, frozen=True, omit_defaults=True):
    """`secret` is there once, unless a file took it."""

    name: str
    id: str
    secret: str | None = None


@app.callback()
def applications() -> None:
    """Keep `renew` a command of its own, though it is the only one."""


@app.command()
def renew(
    application: Annotated[str, typer.Argument(help="Its name or id.")],
    overlap: Annotated[
        int,
        typer.Option(
            "--overlap",
            metavar="SECONDS",
            min=0,
            max=MOST_OVERLAP_SECONDS,
            help="How long the secret before still counts. Else it ends at once.",
        ),
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the secret here, for you only."),
    ] = None,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make an application's next secret. Its sessions and mandates go on."""
    with Server.connect(server, token_file, data, "renew the secret") as connected:
        chosen = choose_zone(connected, zone)
        path = path_of("v1", "zones", chosen.id, "applications", application, "secret")
        if output is None:
            made = connected.send("POST", path, Renewed, overlap_seconds=overlap)
        else:
            # The file can be written before the secret exists: one that nobody has is no use.
            with replacing(output) as draft:
                made = connected.send("POST", path, Renewed, overlap_seconds=overlap)
                draft.write(f"{made.secret}\n".encode())
            made = msgspec.structs.replace(made, secret=None)
    if json:
        print_json(made)
    else:
        _show(made, overlap, output)


def _show(made: Renewed, overlap: int, output: Path | None) -> None:
    print_fields(
        (
            ("application", made.name),
            ("id", made.id),
            ("the one before", f"counts for {overlap} s" if overlap else "counts no more"),
            ("secret in", "" if output is None else str(output)),
        )
    )
    if made.secret is not None:
        say("Secret, shown this once and kept nowhere:")
        say(f"  {made.secret}")
