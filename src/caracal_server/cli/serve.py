"""`caracal serve`: one of the five services in a process of its own."""

from pathlib import Path
from typing import Annotated

import typer

from caracal_server.cli.connection import data_directory
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import JsonOption
from caracal_server.cli.up import parse_address

app = typer.Typer()

LISTEN = {
    "sts": ("127.0.0.1:8080", "127.0.0.1:9080"),
    "gateway": ("127.0.0.1:8081", None),
    "coordinator": ("127.0.0.1:8082", "127.0.0.1:9082"),
    "audit": ("127.0.0.1:8083", "127.0.0.1:9083"),
    "control": ("127.0.0.1:8084", "127.0.0.1:9084"),
}
"""Where a service listens unless told otherwise, and where it listens for its peers."""
STORED = frozenset({"coordinator", "audit", "control"})


@app.command()
def serve(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(LISTEN) + ".")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="The service's directory of `caracal provision`. Else $CARACAL_DATA.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where it listens; port 0 takes a free one."
        ),
    ] = None,
    peer_listen: Annotated[
        str | None,
        typer.Option(
            "--peer-listen", metavar="HOST:PORT", help="Where it listens for the other services."
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", metavar="URL", help="postgresql://...; else a file in the directory."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run one service in this process until Ctrl-C or SIGTERM, then finish what is under way."""
    if service not in LISTEN:
        raise CommandFailed(
            ExitCode.USAGE, f"there is no service {service!r}", "one of " + ", ".join(LISTEN)
        )
    default, peer_default = LISTEN[service]
    peer = peer_listen or peer_default
    if peer_default is None and peer_listen is not None:
        raise CommandFailed(ExitCode.USAGE, f"nobody asks the {service}: leave --peer-listen out")
    if database is not None and service not in STORED:
        raise CommandFailed(ExitCode.USAGE, f"the {service} has no database: leave --database out")
    public = parse_address("--listen", listen or default)
    peers = None if peer is None else parse_address("--peer-listen", peer)
    # Everything that serves is imported only by what serves: `caracal --help` does not wait for it.
    from caracal_server.cli.serving_apart import serve_apart  # noqa: PLC0415 (see above)

    serve_apart(service, data_directory(data).absolute(), public, peers, database, json=json)
