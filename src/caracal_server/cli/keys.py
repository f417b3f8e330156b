"""`caracal key`: the keys that a server holds."""

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

app = typer.Typer(help="Signing keys, sealing keys and the key of the evidence logs.")


class _Rotated(msgspec.Struct, frozen=True):
    zone: ZoneRow


class _Resealed(msgspec.Struct, frozen=True):
    signing_keys: int
    credentials: int


class _LogKeys(msgspec.Struct, frozen=True):
    signing: int


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


@app.command()
def reseal(
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make the next sealing keys, and seal signing keys and upstream credentials anew."""
    with Server.connect(server, token_file, data, "reseal") as connected:
        done = connected.send("POST", path_of("v1", "keys", "reseal"), _Resealed)
    if json:
        print_json(done)
    else:
        say(f"sealed anew: {done.signing_keys} signing keys, {done.credentials} credentials")


@app.command("rotate-log")
def rotate_log(
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make the next key of the evidence logs. It and the present one both sign, until `retire-log`."""
    with Server.connect(server, token_file, data, "rotate the key of the logs") as connected:
        done = connected.send("POST", path_of("v1", "evidence", "key", "rotate"), _LogKeys)
    if json:
        print_json(done)
    else:
        say("every log says which key is next, and both sign; give auditors time, then retire-log")


@app.command("retire-log")
def retire_log(
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Let the key before sign for the evidence logs no more."""
    with Server.connect(server, token_file, data, "retire the key of the logs") as connected:
        done = connected.send("POST", path_of("v1", "evidence", "key", "retire"), _LogKeys)
    if json:
        print_json(done)
    else:
        say("the key before signs no more")
