"""`caracal evidence tiles` and `fsck`: a log as files that any web server serves, and recomputing it."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from caracal.evidence.notes import VerifierKey
from caracal_server.cli.connection import find_connection
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import parse_log_key
from caracal_server.cli.log_check import LogCheck, LogFault, read_checkpoint
from caracal_server.cli.log_copy import LogCopy
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_fields, print_json, progress, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.tile_sources import Address, Directory, TileSource
from caracal_server.cli.zone_choice import choose_log

LogKeysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--log-key",
        metavar="KEY",
        help="The log's key, known from elsewhere; several where keys changed.",
    ),
]


class Checked(msgspec.Struct, frozen=True):
    """What `--json` prints for a log that holds together."""

    verified: bool
    source: str
    origin: str
    size: int
    root: str
    dropped: int
    key_source: str


class Faulty(msgspec.Struct, frozen=True):
    """What `--json` prints for one that does not; `entry` and `file` where they can be named."""

    verified: bool
    source: str
    reason: str
    entry: int | None
    file: str | None


class CopyView(msgspec.Struct, frozen=True):
    """What `--json` prints for a copy."""

    directory: str
    origin: str
    before: int
    size: int
    files: int
    dropped: int
    key_source: str


def tiles(
    directory: Annotated[Path, typer.Argument(help="Where the copy is, or shall be.")],
    log_key: LogKeysOption = None,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Copy what is new of a log into a directory that any static web server can serve."""
    keys = _parse_keys(log_key)
    with _of_server(zone, server, token_file, data, keys) as (source, known):
        try:
            copy = LogCopy(source, directory, known)
            with progress("copying", total=copy.size, quiet=json) as steps:
                copied = copy.run(steps.advance)
        except LogFault as fault:
            raise _refused(source.name, fault, json=json) from None
    signed = copied.checkpoint
    shown = CopyView(
        str(directory),
        signed.origin,
        copied.before,
        signed.size,
        copied.files,
        copied.dropped,
        _key_source(keys),
    )
    if json:
        print_json(shown)
        return
    print_fields((("directory", shown.directory), ("origin", shown.origin)))
    if shown.dropped:
        say(f"{shown.dropped} entries were dropped before they were copied, and an entry says so")
    say(f"copied: {shown.files} files, from {shown.before} to {shown.size} entries, all verified")


def fsck(
    target: Annotated[
        str | None,
        typer.Argument(help="A directory or URL with a log's tiles; else the server's log."),
    ] = None,
    log_key: LogKeysOption = None,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Recompute a whole log from its entries up; end with 1 and name what is at fault first."""
    keys = _parse_keys(log_key)
    if target is None:
        with _of_server(zone, server, token_file, data, keys) as (source, known):
            _check(source, known, keys, json=json)
        return
    if not keys:
        raise CommandFailed(
            ExitCode.USAGE, "whose log it is can not be told without its key", "add --log-key KEY"
        )
    if target.startswith(("http://", "https://")):
        shown = None if token_file is None else find_connection(target, token_file)
        with Address(target, None if shown is None else shown.token) as address:
            _check(address, keys, keys, json=json)
        return
    _check(Directory(Path(target)), keys, keys, json=json)


def _check(
    source: TileSource, known: Sequence[VerifierKey], given: Sequence[VerifierKey], *, json: bool
) -> None:
    try:
        _, checkpoint = read_checkpoint(source, known)
        with progress("recomputing", total=checkpoint.size, quiet=json) as steps:
            whole = LogCheck(source, checkpoint).run(steps.advance)
    except LogFault as fault:
        raise _refused(source.name, fault, json=json) from None
    root = b64encode(checkpoint.root).decode()
    shown = Checked(
        True,
        source.name,
        checkpoint.origin,
        checkpoint.size,
        root,
        whole.dropped,
        _key_source(given),
    )
    if json:
        print_json(shown)
        return
    print_fields((("source", shown.source), ("origin", shown.origin), ("root", shown.root)))
    if whole.dropped:
        say(f"the first {whole.dropped} entries were dropped, and an entry says so; hashes remain")
    if not given:
        say("The key came from the server itself: pass the one you know with --log-key.")
    say(f"verified: {shown.size} entries, every tile, and the checkpoint")


@contextmanager
def _of_server(
    zone: str | None,
    server: str | None,
    token_file: Path | None,
    data: Path | None,
    keys: Sequence[VerifierKey],
) -> Iterator[tuple[TileSource, Sequence[VerifierKey]]]:
    """The log of a running server, and the keys to hold it to: those given, else what it says."""
    connection = find_connection(server, token_file, data)
    with Server(connection, "read the log") as connected:
        log = choose_log(connected, zone)
        own = () if keys else (connected.text(path_of("v1", "zones", log, "evidence", "key")),)
        with Address(connection.server + path_of("evidence", log), connection.token) as address:
            yield address, keys or _parse_keys(own)


def _parse_keys(texts: Sequence[str] | None) -> tuple[VerifierKey, ...]:
    return tuple(parse_log_key(text) for text in texts or ())


def _key_source(given: Sequence[VerifierKey]) -> str:
    return "given" if given else "server"


def _refused(source: str, fault: LogFault, *, json: bool) -> CommandFailed:
    if json:
        print_json(Faulty(False, source, fault.reason, fault.entry, fault.file))
    where = "" if fault.entry is None else f"entry {fault.entry}"
    if fault.file is not None:
        where = f"{where}, {fault.file}" if where else fault.file
    what = f"{where}: {fault.reason}" if where else fault.reason
    return CommandFailed(
        ExitCode.REFUSED, f"{source} does not verify: {what}", "keep what you have, and ask why"
    )
