"""`caracal up`: all services in one process."""

from pathlib import Path
from typing import Annotated, Final

import typer

from caracal_server.cli.connection import data_directory
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import JsonOption

app = typer.Typer()

CONTROL: Final = "127.0.0.1:8080"
GATEWAY: Final = "127.0.0.1:8081"
MAX_PORT: Final = 65535


@app.command()
def up(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Where everything is kept. Else $CARACAL_DATA, else ./caracal-data.",
        ),
    ] = None,
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="HOST:PORT",
            help="Where STS, Coordinator, Audit and Control listen; port 0 takes a free one.",
        ),
    ] = CONTROL,
    gateway: Annotated[
        str, typer.Option("--gateway", metavar="HOST:PORT", help="Where the Gateway listens.")
    ] = GATEWAY,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", metavar="URL", help="postgresql://...; else a file in the directory."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run all services in this process until Ctrl-C or SIGTERM, then finish what is under way."""
    addresses = parse_address("--control", control), parse_address("--gateway", gateway)
    # Everything that serves is imported only by what serves: `caracal --help` does not wait for it.
    from caracal_server.cli.serving import serve  # noqa: PLC0415 (see above)

    serve(data_directory(data).absolute(), *addresses, database, json=json)


def parse_address(option: str, text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        CommandFailed: it is not one.
    """
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    plain = host and host.isprintable() and " " not in host and (bracketed == (":" in host))
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= len("65535") else -1
    if not (separator and plain and 0 <= number <= MAX_PORT):
        raise CommandFailed(
            ExitCode.USAGE, f"{option} reads HOST:PORT, and {text!r} does not", f"such as {CONTROL}"
        )
    return host, number
