"""`caracal session`: what runs, what hangs below what, and ending it."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
import typer
from rich.text import Text
from rich.tree import Tree

from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.graph_rows import (
    LIVE,
    DelegationRow,
    SessionRow,
    SessionView,
    children_of,
    falling_with,
    load_delegations,
    load_sessions,
    subtree,
    view,
)
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import (
    count,
    interactive,
    print_json,
    print_table,
    say,
    stdout_console,
    visible,
)
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import choose_zone
from caracal_server.cli.zones import load_zone

app = typer.Typer(help="Sessions: what runs, and ending it at once.")

AllOption = Annotated[bool, typer.Option("--all", help="Also those that have ended.")]


class _Sessions(msgspec.Struct, frozen=True):
    sessions: tuple[SessionView, ...]


class _Node(msgspec.Struct, frozen=True):
    session: SessionView
    children: tuple["_Node", ...]


class _Forest(msgspec.Struct, frozen=True):
    trees: tuple[_Node, ...]


class _Killed(msgspec.Struct, frozen=True):
    session: str
    ended_sessions: int
    revoked_delegations: int


@app.command("list")
def list_command(
    every: AllOption = False,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List the sessions of a zone, oldest first."""
    with Server.connect(server, token_file, data, "list the sessions") as connected:
        zone_id = choose_zone(connected, zone).id
        names = _names(connected, zone_id)
        rows = load_sessions(connected, zone_id, (None,) if every else LIVE)
    views = tuple(view(row, names) for row in rows)
    if json:
        print_json(_Sessions(views))
        return
    print_table(
        ("SESSION", "APPLICATION", "STATUS", "LIFECYCLE", "STARTED", "LABELS"),
        [
            (
                row.id,
                row.application or row.application_id,
                _status(row),
                _lifecycle(row),
                row.started_at,
                " ".join(row.labels),
            )
            for row in views
        ],
        empty="no sessions" if every else "no live sessions; --all shows those that have ended",
    )


@app.command()
def tree(
    root: Annotated[
        str | None, typer.Argument(metavar="ID", help="Only this session and what is below it.")
    ] = None,
    every: AllOption = False,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Draw which session was started by which."""
    with Server.connect(server, token_file, data, "draw the sessions") as connected:
        chosen = choose_zone(connected, zone)
        names = _names(connected, chosen.id)
        rows = load_sessions(connected, chosen.id, (None,) if every else LIVE)
    if root is not None:
        rows = subtree(rows, root)
        if not rows:
            raise CommandFailed(
                ExitCode.REFUSED, f"there is no live session {root!r} in zone {chosen.name}"
            )
    children = children_of(rows)
    if json:
        print_json(_Forest(_nodes(children, None, names)))
    elif rows:
        _draw(children, names, f"zone {chosen.name}")
    else:
        say("no sessions" if every else "no live sessions; --all shows those that have ended")


@app.command()
def kill(
    session: Annotated[str, typer.Argument(metavar="ID", help="The session to end.")],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; it is kept in the evidence.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """End a session and all below it, with every delegation that rests on them, at once."""
    with Server.connect(server, token_file, data, f"end session {session}") as connected:
        chosen = choose_zone(connected, zone)
        at = path_of("zones", chosen.id, "agents", session)
        connected.get(at, SessionRow)
        sessions = subtree(load_sessions(connected, chosen.id, LIVE), session)
        delegations = falling_with(load_delegations(connected, chosen.id), sessions)
        if interactive() and not yes and not json:
            _ask(sessions, delegations, _names(connected, chosen.id))
        connected.delete(at, reason=reason)
        killed = _count(connected, chosen.id, session, sessions, delegations)
    if json:
        print_json(killed)
    else:
        say(
            f"ended {count(killed.ended_sessions, 'session')} and revoked "
            f"{count(killed.revoked_delegations, 'delegation')}"
        )


def _count(
    server: Server,
    zone_id: str,
    session: str,
    sessions: list[SessionRow],
    delegations: list[DelegationRow],
) -> _Killed:
    """Count what was there before and is not any more: the server answers only that it is done."""
    live = {row.id for row in load_sessions(server, zone_id, LIVE)}
    holding = {row.id for row in load_delegations(server, zone_id)}
    return _Killed(
        session=session,
        ended_sessions=sum(row.id not in live for row in sessions),
        revoked_delegations=sum(row.id not in holding for row in delegations),
    )


def _ask(
    sessions: list[SessionRow], delegations: list[DelegationRow], names: Mapping[str, str]
) -> None:
    _draw(children_of(sessions), names, "This ends:")
    for row in delegations:
        say(f"  delegation {row.id}: {' '.join(row.scopes)} for session {row.target_session_id}")
    typer.confirm(
        f"End {count(len(sessions), 'session')} and revoke "
        f"{count(len(delegations), 'delegation')}?",
        abort=True,
    )


def _names(server: Server, zone_id: str) -> dict[str, str]:
    return {row.id: row.name for row in load_zone(server, zone_id).applications}


def _nodes(
    children: Mapping[str | None, list[SessionRow]], parent: str | None, names: Mapping[str, str]
) -> tuple[_Node, ...]:
    # Sessions stand at most `sessions.MAX_DEPTH` deep.
    return tuple(
        _Node(view(row, names), _nodes(children, row.id, names)) for row in children.get(parent, ())
    )


def _draw(
    children: Mapping[str | None, list[SessionRow]], names: Mapping[str, str], title: str
) -> None:
    drawn = Tree(Text(visible(title)))
    branches: list[tuple[Tree, str | None]] = [(drawn, None)]
    for branch, parent in branches:  # grows while it is walked
        for row in children.get(parent, ()):
            who = names.get(row.application_id, row.application_id)
            shown = view(row, names)
            label = f"{row.id}  {who}  {_status(shown)}  {_lifecycle(shown)}"
            branches.append((branch.add(Text(visible(label), overflow="fold")), row.id))
    stdout_console().print(drawn)


def _status(row: SessionView) -> str:
    return f"{row.status} ({row.end_reason})" if row.end_reason else row.status


def _lifecycle(row: SessionView) -> str:
    if row.ttl_seconds is not None:
        return f"{row.lifecycle}, {row.ttl_seconds} s"
    return f"{row.lifecycle}, lease until {row.lease_expires_at}"
