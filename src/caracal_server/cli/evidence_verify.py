"""`caracal evidence verify`: hold a bundle to its proofs, with nothing running and no network."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
import typer

from caracal.evidence.bundle import BundleReport
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.errors import BundleError
from caracal.evidence.notes import VerifierKey
from caracal.evidence.openings import HeldOpenings
from caracal.evidence.witness_keys import Cosigned
from caracal.wire.dropped_entries import verify_log
from caracal_server.cli.bundle_file import bounded_lines
from caracal_server.cli.cosigners import (
    PolicyOption,
    QuorumOption,
    SinceOption,
    WitnessKeysOption,
    kept_checkpoint,
    read_witnesses,
    require_cosigners,
)
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import parse_log_key
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import Steps, instant, print_fields, print_json, progress, say
from caracal_server.cli.receipt_file import verified_receipt

EMBEDDED: Final = (
    "The key came with the file: this proves that nothing in the file changed since someone signed it,",
    "and not who that was. Get the log's key from elsewhere and pass it with --log-key.",
)


class Verified(msgspec.Struct, frozen=True):
    """What `--json` prints for a bundle that verifies."""

    verified: bool
    file: str
    contents: str
    entries: int
    size: int
    root: str
    origin: str
    key: str
    key_source: str
    cosigned: tuple[Cosigned, ...]
    opened: int | None = None
    first: int = 0


class NotVerified(msgspec.Struct, frozen=True):
    """What `--json` prints for one that does not; `entry` and `line` where they can be named."""

    verified: bool
    file: str
    reason: str
    entry: int | None
    line: int | None


def verify(
    file: Annotated[Path, typer.Argument(help="A bundle, as `caracal evidence export` writes it.")],
    *,
    log_key: Annotated[
        str | None,
        typer.Option("--log-key", metavar="KEY", help="The log's key, known from elsewhere."),
    ] = None,
    receipts: Annotated[
        list[Path] | None,
        typer.Option(
            "--receipt", metavar="RECEIPT", help="A receipt that was kept, to hold the log to."
        ),
    ] = None,
    since: SinceOption = None,
    witness_keys: WitnessKeysOption = None,
    quorum: QuorumOption = None,
    policy: PolicyOption = None,
    openings: Annotated[
        Path | None,
        typer.Option(
            "--openings",
            metavar="FILE",
            help="What opens commitments of its entries, to hold to them.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Verify a bundle offline; end with 1 and name the entry when it does not verify."""
    key = None if log_key is None else parse_log_key(log_key)
    witnesses = read_witnesses(witness_keys, quorum)
    try:
        kept = _kept(key, receipts or (), since)
        report, opened = _verify_file(file, key, kept, openings, quiet=json)
        cosigned = require_cosigners(report.note, *witnesses, policy)
    except BundleError as fault:
        if json:
            print_json(NotVerified(False, str(file), fault.reason, fault.index, fault.line))
        raise CommandFailed(
            ExitCode.REFUSED,
            f"{file} does not verify: {fault}",
            "nothing in it can be relied on; get the evidence anew from its source",
        ) from None
    if json:
        print_json(_rendered(file, report, cosigned, opened))
    else:
        _show(file, report, cosigned, opened)


def _kept(
    key: VerifierKey | None, receipts: Sequence[Path], since: Path | None
) -> list[Checkpoint]:
    """The checkpoints that the log is held to."""
    if key is None:
        if receipts or since is not None:
            raise CommandFailed(
                ExitCode.USAGE,
                "a log is held to what was kept by its key",
                "pass it with --log-key",
            )
        return []
    kept = [verified_receipt(one, key).checkpoint for one in receipts]
    return kept if since is None else [*kept, kept_checkpoint(since, key)]


def _verify_file(
    file: Path,
    key: VerifierKey | None,
    kept: list[Checkpoint],
    openings: Path | None,
    *,
    quiet: bool,
) -> tuple[BundleReport, int | None]:
    """Verify a bundle, and what opens commitments in it; return also how many entries that opens."""
    try:
        with (
            file.open("rb") as stream,
            progress("verifying", total=file.stat().st_size, quiet=quiet) as steps,
        ):
            if openings is None:
                return verify_log(_counted(stream, steps), key, kept), None
            return _with_openings(_counted(stream, steps), key, kept, openings)
    except OSError as fault:
        named = file if openings is None or fault.filename in {None, str(file)} else openings
        raise CommandFailed(ExitCode.USAGE, f"can not read {named}: {fault.strerror}") from None


def _with_openings(
    lines: Iterator[bytes], key: VerifierKey | None, kept: list[Checkpoint], openings: Path
) -> tuple[BundleReport, int]:
    with openings.open("rb") as stream:
        holding = HeldOpenings(bounded_lines(stream))

        def held() -> Iterator[bytes]:
            for line in lines:
                holding.take(line)
                yield line

        report = verify_log(held(), key, kept)
        holding.finish()
    if holding.origin != report.checkpoint.origin:
        raise BundleError(f"the openings are of the log {holding.origin}")
    return report, holding.count


def _counted(stream: BinaryIO, steps: Steps) -> Iterator[bytes]:
    for line in bounded_lines(stream):
        steps.advance(len(line))
        yield line


def _rendered(
    file: Path, report: BundleReport, cosigned: tuple[Cosigned, ...], opened: int | None
) -> Verified:
    return Verified(
        verified=True,
        file=str(file),
        contents=report.contents.value,
        entries=report.entries,
        size=report.checkpoint.size,
        root=b64encode(report.checkpoint.root).decode(),
        origin=report.checkpoint.origin,
        key=report.key.render(),
        key_source=report.key_source,
        cosigned=cosigned,
        opened=opened,
        first=report.first,
    )


def _show(
    file: Path, report: BundleReport, cosigned: tuple[Cosigned, ...], opened: int | None
) -> None:
    shown = _rendered(file, report, cosigned, opened)
    what = {
        Contents.WHOLE: "every entry of the log, none left out",
        Contents.REST: f"every entry from {report.first} on; the log says that those before were dropped",
        Contents.SELECTION: "a selection, each entry proven",
    }[report.contents]
    print_fields(
        (
            ("file", shown.file),
            ("contents", what),
            ("entries", str(shown.entries)),
            ("tree size", str(shown.size)),
            ("root", shown.root),
            ("origin", shown.origin),
            ("key", shown.key),
            ("key from", "--log-key" if shown.key_source == "given" else "the file itself"),
            *((("opened", f"{opened} entries"),) if opened is not None else ()),
            *(("cosigned", f"{instant(1_000_000 * one.at)}  {one.witness}") for one in cosigned),
        )
    )
    if shown.key_source == "embedded":
        for line in EMBEDDED:
            say(line)
    say(f"verified: {shown.entries} entries, tree size {shown.size}, origin {shown.origin}")
