"""The `caracal` command line: one module per noun.

It talks to a running Caracal over HTTP like any operator, and reads the environment only through
`assembly.environment`. It must never print a secret, but for one that was just made and is shown once.
Open first: `program.py` (which commands there are), then `connection.py`.
"""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run what the command line says; never returns.

    Where only the package for agents is installed there is `caracal run`, and nothing else.
    """
    if find_spec("typer") is not None:
        from caracal_server.cli import program  # noqa: PLC0415 (what agents install is without typer)

        program.main()
    if sys.argv[1:2] != ["run"]:
        sys.exit("caracal: only `caracal run` is installed; install 'caracal[server]' for the rest")
    from caracal.run.__main__ import run  # noqa: PLC0415 (only where typer is not)

    sys.exit(run(sys.argv[2:]))


__all__ = ["main"]
