"""`caracal status`: how the server does."""

from collections.abc import Mapping
from contextlib import suppress

import msgspec
import typer

from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import DataOption, JsonOption, ServerOption, TokenFileOption
from caracal_server.cli.output import count, print_json, print_table, say
from caracal_server.cli.server import Server

app = typer.Typer()

_DIGEST_SHOWN = 16


class _Failing(msgspec.Struct, frozen=True):
    check: str
    detail: str


class _ZoneStatus(msgspec.Struct, frozen=True):
    id: str
    name: str
    revision: int
    applications: int
    providers: int
    resources: int
    policy: str | None
    counts: Mapping[str, int]


class _Installation(msgspec.Struct, frozen=True):
    state: str = "unknown"
    digest: str = ""
    detail: str = "the server does not say"


class _WitnessedLog(msgspec.Struct, frozen=True):
    zone: str
    size: int
    witnessed_size: int
    age: int | None
    stale: bool


class _Witnesses(msgspec.Struct, frozen=True):
    mode: str
    stale_seconds: int
    logs: tuple[_WitnessedLog, ...]


class Status(msgspec.Struct, frozen=True):
    """What `--json` prints: as Control answers it, and of the witnesses as Audit does, if it is there."""

    version: str
    ready: bool
    failing: tuple[_Failing, ...]
    zones: tuple[_ZoneStatus, ...]
    operators: int
    installation: _Installation = _Installation()
    witnesses: _Witnesses | None = None


@app.command()
def status(
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Say whether the server is ready, and what is on it; end with 5 when it is not ready."""
    with Server.connect(server, token_file, data, "ask for the status") as connected:
        found = connected.get("/v1/status", Status)
        with suppress(CommandFailed):
            seen = connected.get("/v1/evidence/witnesses", _Witnesses)
            found = msgspec.structs.replace(found, witnesses=seen)
    if json:
        print_json(found)
    else:
        _show(found)
    if not found.ready:
        raise typer.Exit(ExitCode.UNAVAILABLE)


def _show(found: Status) -> None:
    state = "ready" if found.ready else "NOT READY"
    say(f"caracal {found.version}: {state}, {count(found.operators, 'operator token')}")
    installation = found.installation
    detail = f", {installation.detail}" if installation.detail else ""
    say(f"  installation {installation.state}{detail} ({installation.digest[:_DIGEST_SHOWN]})")
    for failing in found.failing:
        say(f"  {failing.check}: {failing.detail}")
    _show_witnesses(found.witnesses)
    counted = sorted({name for zone in found.zones for name in zone.counts})
    say()
    print_table(
        ("ZONE", "REVISION", "APPLICATIONS", "RESOURCES", "POLICY", *map(_title, counted)),
        [
            (
                zone.name,
                str(zone.revision),
                str(zone.applications),
                str(zone.resources),
                (zone.policy or "none")[:_DIGEST_SHOWN],
                *(str(zone.counts.get(name, 0)) for name in counted),
            )
            for zone in found.zones
        ],
        empty="no zones; make one with `caracal apply`",
    )


def _show_witnesses(found: _Witnesses | None) -> None:
    if found is None or found.mode == "none":
        return
    for log in found.logs:
        age = "never cosigned" if log.age is None else f"last cosigned {log.age} seconds ago"
        old = f", which is more than {found.stale_seconds}" if log.stale else ""
        say(f"  log of {log.zone}: {age}{old}, {log.witnessed_size} of {log.size} entries")


def _title(name: str) -> str:
    return name.replace("_", " ").upper()
