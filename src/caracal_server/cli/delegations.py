"""`caracal delegation`: who handed what to whom, and taking it back."""

from typing import Annotated

import msgspec
import typer

from caracal_server.cli.graph_rows import DelegationRow, load_delegations
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import count, interactive, print_json, print_table, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import choose_zone

app = typer.Typer(help="Delegations: narrower grants handed from session to session.")


class DelegationView(msgspec.Struct, frozen=True):
    """What `--json` prints of a delegation."""

    id: str
    source_session: str
    target_session: str
    issuer_application_id: str
    receiver_application_id: str
    parent: str | None
    resource: str | None
    scopes: tuple[str, ...]
    status: str
    created_at: str
    expires_at: str


class _Delegations(msgspec.Struct, frozen=True):
    delegations: tuple[DelegationView, ...]


class _Affected(msgspec.Struct, frozen=True):
    id: str


class _Impact(msgspec.Struct, frozen=True):
    affected_edges: tuple[_Affected, ...]
    affected_sessions: int


class _Revocation(msgspec.Struct, frozen=True):
    """What the Coordinator answers."""

    revoked_edges: int
    terminated_sessions: int


class _Revoked(msgspec.Struct, frozen=True):
    delegation: str
    revoked_delegations: int
    ended_sessions: int


@app.command("list")
def list_command(
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List the delegations of a zone that hold now, oldest first."""
    with Server.connect(server, token_file, data, "list the delegations") as connected:
        rows = load_delegations(connected, choose_zone(connected, zone).id)
    if json:
        print_json(_Delegations(tuple(_view(row) for row in rows)))
        return
    print_table(
        (
            "DELEGATION",
            "FROM SESSION",
            "TO SESSION",
            "SCOPES",
            "RESOURCE",
            "EXPIRES",
            "NARROWED FROM",
        ),
        [
            (
                row.id,
                row.source_session_id,
                row.target_session_id,
                " ".join(row.scopes),
                row.resource_id or "-",
                row.expires_at,
                row.parent_edge_id or "-",
            )
            for row in rows
        ],
        empty="no delegations hold",
    )


@app.command()
def revoke(
    delegation: Annotated[str, typer.Argument(metavar="ID", help="The delegation to revoke.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Revoke a delegation, all narrowed from it, and the sessions that work by them, at once."""
    with Server.connect(server, token_file, data, f"revoke delegation {delegation}") as connected:
        at = path_of("zones", choose_zone(connected, zone).id, "delegations", delegation)
        if interactive() and not yes and not json:
            impact = connected.get(f"{at}/impact", _Impact)
            typer.confirm(
                f"Revoke {count(len(impact.affected_edges), 'delegation')} and end "
                f"{count(impact.affected_sessions, 'session')}?",
                abort=True,
            )
        revoked = connected.send("PATCH", f"{at}/revoke", _Revocation)
    if json:
        print_json(_Revoked(delegation, revoked.revoked_edges, revoked.terminated_sessions))
    else:
        say(
            f"revoked {count(revoked.revoked_edges, 'delegation')} and ended "
            f"{count(revoked.terminated_sessions, 'session')}"
        )


def _view(row: DelegationRow) -> DelegationView:
    return DelegationView(
        id=row.id,
        source_session=row.source_session_id,
        target_session=row.target_session_id,
        issuer_application_id=row.issuer_application_id,
        receiver_application_id=row.receiver_application_id,
        parent=row.parent_edge_id,
        resource=row.resource_id,
        scopes=row.scopes,
        status=row.status,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
