"""The command line as a whole: which commands there are, and how each way of failing ends.

A command's module is imported when the command is: `caracal version` does not wait for an HTTP client.
"""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from caracal_server.cli.failures import CommandFailed, ExitCode

COMMANDS = {
    "up": "up",
    "serve": "serve",
    "provision": "provision",
    "run": "run",
    "apply": "apply",
    "status": "status",
    "zone": "zones",
    "session": "sessions",
    "delegation": "delegations",
    "user": "users",
    "tools": "tools",
    "evidence": "evidence",
    "witness": "witness",
    "explain": "explain",
    "replay": "replay",
    "key": "keys",
    "application": "applications",
    "operator": "operators",
    "release": "release",
    "demo": "demo",
    "version": "version",
    "verify-install": "verify_install",
}
"""A command, and the module that has it as `app`."""

_UsageError = typer.BadParameter.__bases__[0]


class CommandsOnDemand(TyperGroup):
    """The commands by name, and one line on stderr for whatever goes wrong in one of them."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 (as in the parent)
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:  # noqa: ARG002 (as in the parent)
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            module = import_module(f"caracal_server.cli.{COMMANDS[cmd_name]}")
            command = get_command(module.app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def main(self, *args: Any, **extra: Any) -> None:
        """Run a command and end the process with its exit code."""
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except CommandFailed as failed:
            _tell(failed.line, failed.places)
            code = failed.code
        except Exception as fault:  # noqa: BLE001 (the last one to see it: people never get a traceback)
            code = _code_of(fault)
        sys.exit(code or ExitCode.OK)


def _code_of(fault: Exception) -> ExitCode:
    if isinstance(fault, _UsageError):
        usage: Any = fault
        command = usage.ctx.command_path if usage.ctx else "caracal"
        _tell(f"{usage.format_message().rstrip('.')}; see `{command} --help`")
        return ExitCode.USAGE
    if isinstance(fault, typer.Abort):
        _tell("nothing was done")
        return ExitCode.REFUSED
    place = fault.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
    _tell(f"a defect in caracal itself: {type(fault).__name__}{where}; please report it")
    return ExitCode.FAULT


def _tell(line: str, places: tuple[str, ...] = ()) -> None:
    from caracal_server.cli.output import warn  # noqa: PLC0415 (rich, which most runs do without)

    warn(f"caracal: {line}")
    for place in places:
        warn(f"  {place}")


app = typer.Typer(
    name="caracal",
    cls=CommandsOnDemand,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def caracal(context: typer.Context) -> None:
    """Authority in front of what agents do: decide before, prove afterwards, end it at once."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run what the command line says; never returns."""
    get_command(app).main(prog_name="caracal")
