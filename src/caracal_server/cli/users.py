"""`caracal user`: ending what works for one."""

from typing import Annotated

import msgspec
import typer

from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import count, interactive, print_json, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import choose_zone

app = typer.Typer(help="Users whom an OpenID provider vouches for.")


class _Wanted(msgspec.Struct, frozen=True):
    issuer: str
    subject_id: str


class _Revocation(msgspec.Struct, frozen=True):
    sessions: int
    delegations: int


class _Revoked(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    issuer: str
    user: str
    ended_sessions: int
    revoked_delegations: int


@app.callback()
def users() -> None:
    """Make `revoke` a command of its own."""


@app.command()
def revoke(
    issuer: Annotated[str, typer.Argument(metavar="ISSUER", help="Who vouches for them: a URL.")],
    user: Annotated[str, typer.Argument(metavar="NAME", help="The `sub` of their ID tokens.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """End all that works for a user, and accept nothing that they proved until now."""
    with Server.connect(server, token_file, data, f"revoke the user {user}") as connected:
        at = path_of("zones", choose_zone(connected, zone).id, "subjects", "revoke")
        if interactive() and not yes and not json:
            typer.confirm(f"End every session that works for {user} of {issuer}?", abort=True)
        body = msgspec.json.encode(_Wanted(issuer, user))
        revoked = connected.send("POST", at, _Revocation, body)
    if json:
        print_json(_Revoked(issuer, user, revoked.sessions, revoked.delegations))
        return
    sessions, delegations = revoked.sessions, revoked.delegations
    say(f"ended {count(sessions, 'session')} and revoked {count(delegations, 'delegation')}")
