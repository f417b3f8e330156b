"""`caracal apply`: bring a zone to what a file says."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from caracal_server.assembly.environment import environment
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import DataOption, JsonOption, ServerOption, TokenFileOption
from caracal_server.cli.output import count, print_json, print_table, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_file import ZoneFileInvalid, read_zone_file
from caracal_server.control.zone_document import ZoneDocument, render_with_secrets

app = typer.Typer()


class _Zone(msgspec.Struct, frozen=True):
    id: str | None
    name: str
    revision: int


class _Change(msgspec.Struct, frozen=True):
    action: str
    kind: str
    name: str
    fields: tuple[str, ...] = ()


class _Application(msgspec.Struct, frozen=True, omit_defaults=True):
    """`secret` is there once: when the application was just made. It is shown, and kept nowhere."""

    name: str
    id: str | None
    secret: str | None = None


class Applied(msgspec.Struct, frozen=True):
    """What changed, or would change."""

    zone: _Zone
    changes: tuple[_Change, ...]
    applications: tuple[_Application, ...]


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A zone file; its schema is docs/schema.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would change, and change nothing.")
    ] = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a zone to what a file says. A second time changes nothing.

    The secret of a new application is shown here, once.
    """
    document = _read(file)
    with Server.connect(server, token_file, data, f"apply {file}") as connected:
        applied = connected.send(
            "PUT",
            path_of("v1", "zones", document.zone),
            Applied,
            render_with_secrets(document),
            plan="true" if plan else None,
        )
    if json:
        print_json(applied)
    else:
        _show(applied, planned=plan)


def _read(file: Path) -> ZoneDocument:
    try:
        return read_zone_file(file, environment())
    except ZoneFileInvalid as invalid:
        first, *others = invalid.problems
        raise CommandFailed(
            ExitCode.USAGE,
            f"{file} can not be applied: {first}",
            f"{count(len(others), 'further place')} below"
            if others
            else "correct it and apply again",
            tuple(f"{file}: {problem}" for problem in others),
        ) from None


def _show(applied: Applied, *, planned: bool) -> None:
    zone = applied.zone
    if not applied.changes:
        say(f"zone {zone.name}: nothing to change, revision {zone.revision}")
    elif planned:
        say(f"zone {zone.name}: applying would change this:")
    else:
        say(f"zone {zone.name} ({zone.id}): applied, revision {zone.revision}")
    signs = {"create": "+", "update": "~", "delete": "-"}
    for change in applied.changes:
        fields = f" ({', '.join(change.fields)})" if change.fields else ""
        say(f"  {signs.get(change.action, '?')} {change.kind} {change.name}{fields}")
    if planned:
        return
    secrets = [row for row in applied.applications if row.secret]
    say()
    print_table(
        ("APPLICATION", "ID"),
        [(row.name, row.id or "-") for row in applied.applications],
        empty="no applications",
    )
    if secrets:
        say()
        say("Secrets, shown this once and kept nowhere:")
        for row in secrets:
            say(f"  {row.name}  {row.secret}")
