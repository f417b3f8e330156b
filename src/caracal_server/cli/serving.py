"""Running all services from the command line: what is printed, and what is said when it can not start."""

from pathlib import Path

import msgspec
import typer

from caracal_server.adapters.sql.database import DatabaseInUse
from caracal_server.assembly.all_in_one import Ready, UpOptions, run
from caracal_server.cli.output import print_fields, print_json, say
from caracal_server.cli.start_failures import start_told


class Announcement(msgspec.Struct, frozen=True):
    """What `--json` prints once, when both listeners accept connections."""

    control: str
    gateway: str
    operator_token_file: str
    data: str
    pid: int


def serve(
    data: Path,
    control: tuple[str, int],
    gateway: tuple[str, int],
    database: str | None,
    *,
    json: bool,
) -> None:
    """Serve until told to stop.

    Raises:
        CommandFailed: it could not start.
    """
    announce = _print_json if json else _print
    with start_told(
        places="check --data, --control and --gateway; port 0 takes a free one",
        keys="bring back the keys that belong to this data",
        in_use=(DatabaseInUse,),
    ):
        code = run(UpOptions(data, control, gateway, database, announce))
    raise typer.Exit(code)


def _print_json(ready: Ready) -> None:
    print_json(
        Announcement(
            control=ready.control,
            gateway=ready.gateway,
            operator_token_file=str(ready.operator_token_file),
            data=str(ready.data),
            pid=ready.pid,
        )
    )


def _print(ready: Ready) -> None:
    say("Caracal is up.")
    print_fields(
        (
            ("control", ready.control),
            ("gateway", ready.gateway),
            ("operator token in", str(ready.operator_token_file)),
            ("data in", str(ready.data)),
        )
    )
    say("Ctrl-C stops it.")
