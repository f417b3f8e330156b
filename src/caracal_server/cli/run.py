"""`caracal run`: any program, with its HTTP traffic governed. All of it is in `caracal.run`."""

from inspect import Parameter, Signature
from typing import Any

import typer

from caracal.run.options import OPTIONS, Option

app = typer.Typer()


def _parameter(option: Option) -> Parameter:
    told: Any = typer.Option([], option.flag, metavar=option.metavar, help=option.help)
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=told, annotation=list[str])


def run(*, command: list[str], **values: list[str]) -> None:
    """Run a program with its HTTP traffic governed, and end with its exit code."""
    from caracal.run.launch import main  # noqa: PLC0415 (`--help` does not wait for an HTTP client)

    raise typer.Exit(main(values, command))


_COMMAND = Parameter(
    "command",
    Parameter.KEYWORD_ONLY,
    default=typer.Argument(None, metavar="-- COMMAND...", help="The program and its arguments."),
    annotation=list[str],
)
_parameters = [_COMMAND, *(_parameter(option) for option in OPTIONS)]
# One table says what the options are, here and where typer is not installed.
run.__signature__ = Signature(_parameters)  # type: ignore[attr-defined]  # as `inspect` documents
run.__annotations__ = {each.name: each.annotation for each in _parameters}
app.command(context_settings={"allow_interspersed_args": False})(run)
