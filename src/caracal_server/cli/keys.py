"""`caracal key`: the zones' signing keys."""

import msgspec
import typer

from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_json, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import ZoneRow, choose_zone

app = typer.Typer(help="The keys that zones sign mandates with.")


class _Rotated(msgspec.Struct, frozen=True):
    zone: ZoneRow


@app.callback()
def keys() -> None:
    """Keep `rotate` a command of its own, though it is the only one."""


@app.command()
def rotate(
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a zone's next signing key. Mandates of the one before stay valid until they expire."""
    with Server.connect(server, token_file, data, "rotate the key") as connected:
        chosen = choose_zone(connected, zone)
        rotated = connected.send(
            "POST", path_of("v1", "zones", chosen.id, "keys", "rotate"), ZoneRow
        )
    if json:
        print_json(_Rotated(rotated))
    else:
        say(f"zone {rotated.name} signs with a new key; its other keys verify until they expire")
