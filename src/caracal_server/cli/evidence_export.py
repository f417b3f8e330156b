"""`caracal evidence export` and `proof`: evidence into a file that verifies offline."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace

from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_verifier_key
from caracal_server.cli.bundle_file import (
    Written,
    describe,
    replacing,
    require_closed,
    write_pieces,
)
from caracal_server.cli.entries import EntryView
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_fields, print_json, progress, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import choose_log


class _Proof(msgspec.Struct, frozen=True):
    size: int
    leaf_hash: str
    hashes: tuple[str, ...]
    checkpoint: str


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the bundle goes.")
    ],
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    witnessed: Annotated[
        bool,
        typer.Option("--witnessed", help="Up to the newest checkpoint that witnesses cosigned."),
    ] = False,
    with_openings: Annotated[
        bool,
        typer.Option(
            "--with-openings",
            help="Also write FILE.openings: what the entries commit to instead of saying it.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a zone's whole log to a file that `caracal evidence verify` takes, or to none at all."""
    with Server.connect(server, token_file, data, "export the evidence") as connected:
        log = choose_log(connected, zone)
        expected = _size(connected, log)
        query = "?witnessed=true" if witnessed else ""
        with (
            replacing(output) as draft,
            connected.stream(path_of("v1", "zones", log, "evidence", "export") + query) as pieces,
            progress("exporting", total=expected, quiet=json) as steps,
        ):
            for lines in write_pieces(draft, pieces, output):
                steps.advance(lines)
            try:
                written = describe(draft, output)
            except EvidenceError as fault:
                raise CommandFailed(
                    ExitCode.UNAVAILABLE,
                    f"could not export the evidence: what the server sent is no bundle: {fault}",
                    "nothing was kept; try again, and look at the server's log if it goes on",
                ) from None
        if with_openings:
            written = replace(written, openings=_export_openings(connected, log, output, written))
    _show(written, json=json)


def _export_openings(server: Server, log: str, output: Path, written: Written) -> str:
    """Write what opens the commitments of a bundle's entries; return the file's name."""
    file = output.with_name(f"{output.name}.openings")
    path = path_of("v1", "zones", log, "evidence", "openings") + f"?size={written.size}"
    with replacing(file) as draft, server.stream(path) as pieces:
        for _ in write_pieces(draft, pieces, file):
            pass
        require_closed(draft)
    return str(file)


def proof(
    index: Annotated[int, typer.Argument(min=0, help="The entry's index in the log.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where the bundle goes; else stdout."),
    ] = None,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Take out one entry with its proof, as a bundle that `caracal evidence verify` takes."""
    with Server.connect(server, token_file, data, f"prove entry {index}") as connected:
        bundle = _prove(connected, choose_log(connected, zone), index)
    if output is None:
        if json:
            raise CommandFailed(
                ExitCode.USAGE, "a bundle is not one JSON document", "add --output FILE"
            )
        typer.echo(bundle, nl=False)
        return
    with replacing(output) as draft:
        draft.write(bundle)
        written = describe(draft, output)
    _show(written, json=json)


def _prove(server: Server, log: str, index: int) -> bytes:
    at = path_of("v1", "zones", log, "evidence", str(index))
    entry = server.get(at, EntryView)
    found = server.get(f"{at}/proof", _Proof)
    key = server.text(path_of("v1", "zones", log, "evidence", "key")).strip()
    try:
        writer = BundleWriter(found.checkpoint, parse_verifier_key(key), Contents.SELECTION)
        leaf, path = bytes.fromhex(entry.leaf_hash), [bytes.fromhex(it) for it in found.hashes]
        lines = [writer.header(), writer.entry(index, bytes(entry.entry), leaf, path)]
        return b"".join([*lines, writer.closing()])
    except (EvidenceError, ValueError) as fault:
        raise CommandFailed(
            ExitCode.REFUSED,
            f"what the server offers for entry {index} is no proof: {fault}",
            "have the log examined: `caracal status` tells what its own check says",
        ) from None


def _size(server: Server, log: str) -> int | None:
    """How many entries there are, for the progress bar only."""
    page = server.get(path_of("v1", "zones", log, "evidence"), _Newest, limit=1)
    return page.items[0].index + 1 if page.items else None


class _Place(msgspec.Struct, frozen=True):
    index: int


class _Newest(msgspec.Struct, frozen=True):
    items: tuple[_Place, ...]


def _show(written: Written, *, json: bool) -> None:
    if json:
        print_json(written)
        return
    print_fields(
        (
            ("file", written.file),
            ("entries", str(written.entries)),
            ("tree size", str(written.size)),
            ("log key", written.key),
            *((("openings", written.openings),) if written.openings else ()),
        )
    )
    say(f"verify it anywhere: caracal evidence verify {written.file} --log-key '{written.key}'")
