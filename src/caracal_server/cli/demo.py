"""`caracal demo`: agents, a real API, and Caracal between them."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from caracal_server.cli.failures import CommandFailed, ExitCode

app = typer.Typer()

_LEVELS_TO_CHECKOUT: Final = 3


@app.command()
def play(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end.")
    ] = False,
) -> None:
    """Show real agents calling a real API through Caracal. Needs a source checkout."""
    checkout = Path(__file__).resolve().parents[_LEVELS_TO_CHECKOUT]
    if not (checkout / "examples" / "demo" / "__main__.py").is_file():
        raise CommandFailed(
            ExitCode.USAGE,
            "the demo is part of the source, not of the installed package",
            "clone the repository and type `make demo` there",
        )
    os.chdir(checkout)
    command = [sys.executable, "-m", "examples.demo", *(["--keep"] if keep else [])]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 (no shell is wanted; signals reach the demo itself)
