"""`caracal run` where only the package for agents is installed, which has no typer."""

import argparse
import sys
from collections.abc import Sequence

from caracal.run.launch import main
from caracal.run.options import OPTIONS


def run(arguments: Sequence[str]) -> int:
    """Read the arguments and run the program."""
    parser = argparse.ArgumentParser(
        prog="caracal run",
        description="Run a program with its HTTP traffic governed.",
        allow_abbrev=False,
    )
    for option in OPTIONS:
        parser.add_argument(
            option.flag, action="append", default=[], metavar=option.metavar, help=option.help
        )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    given = parser.parse_args(list(arguments))
    command: list[str] = given.command
    values: dict[str, list[str]] = {option.name: getattr(given, option.name) for option in OPTIONS}
    return main(values, command[1:] if command[:1] == ["--"] else command)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
