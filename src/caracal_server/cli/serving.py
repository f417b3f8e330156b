"""Running all services from the command line: what is printed, and what is said when it can not start."""

from pathlib import Path

import msgspec
import typer

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sealing.key_files import KeyFileError
from caracal_server.adapters.sql.database import DatabaseInUse
from caracal_server.assembly.all_in_one import Ready, UpOptions, run
from caracal_server.assembly.installed import InstallationRefused
from caracal_server.assembly.settings import SettingInvalid
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.output import print_fields, print_json, say


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
    try:
        code = run(UpOptions(data, control, gateway, database, announce))
    except InstallationRefused as fault:
        raise _not_started(ExitCode.REFUSED, str(fault), "install the release again") from None
    except SettingInvalid as fault:
        raise _not_started(ExitCode.USAGE, str(fault), "correct the variable") from None
    except OSError as fault:
        file = f": {fault.filename}" if fault.filename else ""
        raise _not_started(
            ExitCode.USAGE,
            f"{fault.strerror or fault}{file}",
            "check --data, --control and --gateway; port 0 takes a free one",
        ) from None
    except KeyFileError as fault:
        raise _not_started(
            ExitCode.USAGE, str(fault), "bring back the keys that belong to this data"
        ) from None
    except DatabaseInUse as fault:
        raise _not_started(ExitCode.UNAVAILABLE, str(fault)) from None
    except Unavailable as fault:
        raise _not_started(
            ExitCode.UNAVAILABLE, f"{fault.detail} ({fault.reason})", "look at the database"
        ) from None
    raise typer.Exit(code)


def _not_started(code: ExitCode, why: str, advice: str = "") -> CommandFailed:
    return CommandFailed(code, f"could not start: {why}", advice)


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
