"""Running one service from the command line: what is printed, and what is said when it can not start."""

from pathlib import Path

import msgspec
import typer

from caracal_server.assembly.service_process import ServiceOptions, ServiceReady, run
from caracal_server.cli.output import print_fields, print_json, say
from caracal_server.cli.serve import STORED
from caracal_server.cli.start_failures import start_told
from caracal_server.web.peers.services import Service


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `--json` prints once, when the listeners accept connections."""

    service: str
    listen: str
    data: str
    pid: int
    peer_listen: str | None = None


def serve_apart(
    service: str,
    data: Path,
    listen: tuple[str, int],
    peer_listen: tuple[str, int] | None,
    database: str | None,
    *,
    json: bool,
) -> None:
    """Serve until told to stop.

    Raises:
        CommandFailed: it could not start.
    """
    announce = _print_json if json else _print
    options = ServiceOptions(Service(service), data, listen, peer_listen, database, announce)
    with start_told(
        places="check --data, --listen and --peer-listen; port 0 takes a free one",
        keys="make the service's directory with `caracal provision`",
        in_use=_in_use(service),
    ):
        code = run(options)
    raise typer.Exit(code)


def _in_use(service: str) -> tuple[type[Exception], ...]:
    """What says that a database has another owner; who has none does not even import it."""
    if service not in STORED:
        return ()
    from caracal_server.adapters.sql.database import DatabaseInUse  # noqa: PLC0415 (see above)

    return (DatabaseInUse,)


def _print_json(ready: ServiceReady) -> None:
    print_json(
        Announcement(
            service=ready.service,
            listen=ready.listen,
            data=str(ready.data),
            pid=ready.pid,
            peer_listen=ready.peer_listen,
        )
    )


def _print(ready: ServiceReady) -> None:
    say(f"Caracal's {ready.service} listens; /ready says what it still waits for.")
    fields = [("listen", ready.listen), ("data in", str(ready.data))]
    if ready.peer_listen is not None:
        fields.insert(1, ("peers", ready.peer_listen))
    print_fields(tuple(fields))
    say("Ctrl-C stops it.")
