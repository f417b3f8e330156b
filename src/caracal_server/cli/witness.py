"""`caracal witness`: cosign the checkpoints of logs, as somebody other than who runs them."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal.evidence.errors import EvidenceError
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import key_text
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import print_fields, print_json, say
from caracal_server.cli.up import parse_address

LISTEN: Final = "127.0.0.1:8090"

app = typer.Typer(invoke_without_command=True, help="Cosign the checkpoints of logs.")
_STATE: Final = typer.Option(
    "--state", metavar="DIR", help="Where a witness keeps its key and its memory."
)
ListenOption = Annotated[
    str,
    typer.Option(
        "--listen", metavar="HOST:PORT", help="Where it listens; port 0 takes a free one."
    ),
]
LogOption = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="KEY", help="The key of a log, or a file with it. Repeatable."),
]
LogsFileOption = Annotated[
    Path | None,
    typer.Option(
        "--logs-file", metavar="FILE", help="Keys of logs, a line each; read again on SIGHUP."
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="What a new witness is called in its signatures.")
]


class Announcement(msgspec.Struct, frozen=True):
    """What `--json` prints once, when it answers."""

    listening: str
    key: str


class KeyShown(msgspec.Struct, frozen=True):
    """What `witness key --json` prints."""

    key: str


@app.callback()
def witness(
    context: typer.Context,
    state: Annotated[Path | None, _STATE] = None,
    listen: ListenOption = LISTEN,
    log: LogOption = None,
    logs_file: LogsFileOption = None,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Run a witness until Ctrl-C or SIGTERM; its key is made on the first start."""
    if context.invoked_subcommand is not None:
        return
    if state is None:
        raise CommandFailed(
            ExitCode.USAGE, "a witness needs a directory of its own", "pass --state"
        )
    if not log and logs_file is None:
        raise CommandFailed(
            ExitCode.USAGE, "a witness needs to know a log", "pass --log or --logs-file"
        )
    address = parse_address("--listen", listen)
    # Everything that serves is imported only by what serves: `caracal --help` does not wait for it.
    from caracal_server.assembly.witness_service import WitnessOptions, run  # noqa: PLC0415 (see above)
    from caracal_server.cli.start_failures import start_told  # noqa: PLC0415 (see above)
    from caracal_server.witness.state import StateError  # noqa: PLC0415 (see above)

    logs = tuple(key_text(given) for given in log or ())
    try:
        with start_told(
            places="check --state, --logs-file and --listen; port 0 takes a free one",
            keys="bring back the key that belongs to this directory",
            in_use=(StateError,),
        ):
            run(
                WitnessOptions(
                    state, address, name, logs, logs_file, _print_json if json else _print
                )
            )
    except EvidenceError as fault:
        raise CommandFailed(ExitCode.USAGE, f"could not start: {fault}") from None


@app.command()
def key(state: Annotated[Path, _STATE], json: JsonOption = False) -> None:
    """Print a witness's key, as policies and verifiers take it; made if there is none yet."""
    from caracal_server.assembly.witness_service import identity  # noqa: PLC0415 (as above)
    from caracal_server.cli.start_failures import start_told  # noqa: PLC0415 (as above)
    from caracal_server.witness.state import StateError  # noqa: PLC0415 (as above)

    with start_told(
        places="check --state",
        keys="bring back the key that belongs to this directory",
        in_use=(StateError,),
    ):
        found, _ = identity(state)
    if json:
        print_json(KeyShown(found.render()))
    else:
        say(found.render())


def _print_json(address: str, rendered: str) -> None:
    print_json(Announcement(address, rendered))


def _print(address: str, rendered: str) -> None:
    say("The witness is up.")
    print_fields((("listening on", address), ("key", rendered)))
    say("Ctrl-C stops it.")
