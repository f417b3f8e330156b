"""`caracal evidence pack`: what an auditor takes away, and the same verified with nothing running."""

import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal.evidence.notes import VerifierKey
from caracal_server.adapters.clock import SystemClock
from caracal_server.cli.bundle_file import replacing
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import parse_log_key
from caracal_server.cli.options import DataOption, JsonOption, ServerOption, TokenFileOption
from caracal_server.cli.output import print_fields, print_json, progress, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import SYSTEM_LOG, choose_log, list_zones
from caracal_server.evidence_pack.faults import PackFault
from caracal_server.evidence_pack.packing import Report, Stated, make, verify
from caracal_server.evidence_pack.questions import Outcome, Period

app = typer.Typer(
    help="What an auditor takes away, in one file that verifies offline.",
    invoke_without_command=True,
)

_RELEASE: Final = ("release.json", "SHA256SUMS", "*.cdx.json", "*.spdx.json", "*.sigstore.json",
                   "*.publish.attestation")  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Row(msgspec.Struct, frozen=True):
    id: str
    framework: str
    outcome: str


class _Shown(msgspec.Struct, frozen=True):
    """What `--json` prints of a pack, made or verified.

    `reaches`, once verified: each log with the time of its last entry; what came later is not in it.
    """

    file: str
    reaches: dict[str, str]
    logs: tuple[str, ...]
    trusted: bool
    statements: tuple[_Row, ...]


OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the pack goes.")
]
SinceOption = Annotated[
    datetime | None, typer.Option(help="From this instant on, UTC; from the beginning if left out.")
]
UntilOption = Annotated[
    datetime | None, typer.Option(help="Before this instant, UTC; up to now if left out.")
]
ZonesOption = Annotated[
    list[str] | None,
    typer.Option("--zone", help="A zone or `system`; may repeat. Every log if left out."),
]
ReleaseOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A release, whose descriptions go in.")
]
RegisterOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Results of the register: `python -m assurance --json`."),
]


@app.callback()
def pack(
    context: typer.Context,
    *,
    output: OutputOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    zone: ZonesOption = None,
    release: ReleaseOption = None,
    register: RegisterOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Pack whole logs, what they answer about a period, and the descriptions of a release."""
    if context.invoked_subcommand is not None:
        return
    if output is None:
        raise CommandFailed(
            ExitCode.USAGE, "where is the pack to go?", "name it with --output FILE"
        )
    period = _period(since, until)
    more = _release_files(release) | _register_file(register)
    with (
        tempfile.TemporaryDirectory(prefix="caracal-pack-") as folder,
        Server.connect(server, token_file, data, "export the evidence") as connected,
    ):
        logs = _export(connected, _logs(connected, zone), Path(folder), quiet=json)
        with replacing(output) as draft:
            try:
                stated = make(
                    draft, logs=logs, period=period, version=version("caracal"), more=more
                )
            except PackFault as fault:
                raise CommandFailed(
                    ExitCode.REFUSED, f"no pack was made: {fault}", "have the log examined"
                ) from None
    _show(_Shown(str(output), {}, tuple(sorted(logs)), False, _rows(stated)), json=json)


@app.command("verify")
def verify_pack(
    file: Annotated[Path, typer.Argument(help="A pack.")],
    log_key: Annotated[
        list[str] | None,
        typer.Option(
            "--log-key", metavar="KEY", help="A log's key, known from elsewhere; may repeat."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Verify a pack offline: every sum, every log, every answer. Ends with 1 unless all of it holds."""
    keys = [parse_log_key(given) for given in log_key or []]
    report = _verified(file, keys)
    logs = tuple(log.log for log in report.manifest.logs)
    reaches = {log.log: _instant(log.last_at) for log in report.manifest.logs}
    _show(_Shown(str(file), reaches, logs, report.trusted, _rows(report.statements)), json=json)
    if not report.trusted and not json:
        say("The keys came with the file: pass those you know from elsewhere with --log-key.")
    if any(stated.outcome is Outcome.NOT_BORNE_OUT for stated in report.statements):
        raise CommandFailed(
            ExitCode.REFUSED, "the entries contradict a statement", "see those that fail"
        )


def _verified(file: Path, keys: list[VerifierKey]) -> Report:
    try:
        return verify(file, keys)
    except PackFault as fault:
        raise CommandFailed(
            ExitCode.REFUSED, f"{file} does not verify: {fault}", "nothing in it can be relied on"
        ) from None


def _period(since: datetime | None, until: datetime | None) -> Period:
    first, last = (_us(since or _EPOCH), _us(until or SystemClock().now()))
    if first >= last:
        raise CommandFailed(ExitCode.USAGE, "--since is not before --until")
    return Period(first, last)


def _instant(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).isoformat()


def _us(at: datetime) -> int:
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def _logs(server: Server, named: list[str] | None) -> list[str]:
    if named:
        return [choose_log(server, name) for name in named]
    return [*(zone.id for zone in list_zones(server)), SYSTEM_LOG]


def _export(server: Server, logs: list[str], folder: Path, *, quiet: bool) -> dict[str, Path]:
    found = {}
    with progress("exporting", total=len(logs), quiet=quiet) as steps:
        for log in logs:
            found[log] = folder / f"{log}.jsonl"
            with (
                found[log].open("wb") as target,
                server.stream(path_of("v1", "zones", log, "evidence", "export")) as pieces,
            ):
                for piece in pieces:
                    target.write(piece)
            steps.advance(1)
    return found


def _release_files(folder: Path | None) -> dict[str, bytes | Path]:
    if folder is None:
        return {}
    found = sorted({path for pattern in _RELEASE for path in folder.glob(pattern)})
    if not any(path.name == "release.json" for path in found):
        raise CommandFailed(ExitCode.USAGE, f"{folder} is no release: it has no release.json")
    return {f"release/{path.name}": path for path in found}


def _register_file(file: Path | None) -> dict[str, bytes | Path]:
    if file is None:
        return {}
    if not file.is_file():
        raise CommandFailed(ExitCode.USAGE, f"there is no file {file}")
    return {"register.json": file}


def _rows(stated: tuple[Stated, ...]) -> tuple[_Row, ...]:
    return tuple(_Row(one.statement.id, one.statement.framework, one.outcome) for one in stated)


def _show(shown: _Shown, *, json: bool) -> None:
    if json:
        print_json(shown)
        return
    print_fields((("file", shown.file), ("logs", ", ".join(shown.logs))))
    print_fields(tuple((f"{log} reaches", at) for log, at in shown.reaches.items()))
    print_fields(tuple((row.id, f"{row.outcome}: {row.framework}") for row in shown.statements))
