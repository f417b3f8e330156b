"""The `caracal` command line: one module per noun.

It talks to a running Caracal over HTTP like any operator, and reads the environment only through
`assembly.environment`. It must never print a secret, but for one that was just made and is shown once.
Open first: `program.py` (which commands there are), then `connection.py`.
"""

from caracal_server.cli.program import main

__all__ = ["main"]
