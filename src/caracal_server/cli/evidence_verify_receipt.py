"""`caracal evidence verify-receipt`: hold one receipt to keys known from elsewhere, with no server."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from caracal.authority.events import Entry
from caracal.evidence.errors import EvidenceError
from caracal.evidence.receipts import ReceiptReport, verify_receipt
from caracal.evidence.witness_keys import Cosigned
from caracal_server.cli.cosigners import QuorumOption, WitnessKeysOption, read_witnesses
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import parse_log_key
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import instant, print_fields, print_json, say, visible
from caracal_server.cli.receipt_file import ADVICE, read_receipt


class Verified(msgspec.Struct, frozen=True):
    """What `--json` prints for a receipt that verifies."""

    verified: bool
    file: str
    origin: str
    index: int
    size: int
    cosigned: tuple[Cosigned, ...]
    entry: msgspec.Raw | str


class NotVerified(msgspec.Struct, frozen=True):
    """What `--json` prints for one that does not."""

    verified: bool
    file: str
    reason: str


def verify_receipt_file(
    file: Annotated[
        Path, typer.Argument(help="A receipt, as `caracal evidence receipt` writes it.")
    ],
    log_key: Annotated[
        str | None,
        typer.Option(
            "--log-key",
            metavar="KEY",
            help="The log's key, or a file with it, known from elsewhere.",
        ),
    ] = None,
    witness_keys: WitnessKeysOption = None,
    quorum: QuorumOption = None,
    json: JsonOption = False,
) -> None:
    """Verify a receipt offline; end with 1 and say why when it does not verify."""
    if log_key is None:
        raise CommandFailed(
            ExitCode.USAGE,
            "a receipt proves nothing without the log's key, known from elsewhere",
            "pass it with --log-key",
        )
    key = parse_log_key(log_key)
    witnesses = read_witnesses(witness_keys, quorum)
    try:
        report = verify_receipt(read_receipt(file), key, *witnesses)
    except EvidenceError as fault:
        if json:
            print_json(NotVerified(False, str(file), str(fault)))
        raise CommandFailed(ExitCode.REFUSED, f"{file} does not verify: {fault}", ADVICE) from None
    if json:
        print_json(_rendered(file, report))
    else:
        _show(file, report)


def _rendered(file: Path, report: ReceiptReport) -> Verified:
    return Verified(
        verified=True,
        file=str(file),
        origin=report.checkpoint.origin,
        index=report.index,
        size=report.checkpoint.size,
        cosigned=report.cosigned,
        entry=_json_entry(report.entry),
    )


def _json_entry(data: bytes) -> msgspec.Raw | str:
    try:
        return msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return data.decode(errors="backslashreplace")


def _show(file: Path, report: ReceiptReport) -> None:
    print_fields(
        (
            ("file", str(file)),
            *_told(report.entry),
            ("log", report.checkpoint.origin),
            ("entry", f"{report.index} of {report.checkpoint.size}"),
            *(
                ("cosigned", f"{instant(1_000_000 * one.at)}  {one.witness}")
                for one in report.cosigned
            ),
        )
    )
    say(f"verified: entry {report.index} stands in the log {report.checkpoint.origin}")


def _told(data: bytes) -> tuple[tuple[str, str], ...]:
    """Who, what, decision and when, as the entry says it."""
    try:
        entry = msgspec.json.decode(data, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return (("says", visible(data.decode(errors="backslashreplace"))),)
    who = entry.application_name or entry.application or entry.actor
    what = " ".join(part for part in (entry.kind.value, entry.operation, entry.scopes) if part)
    on = entry.resource or entry.target
    why = ": ".join(part for part in (entry.reason, entry.detail) if part)
    return (
        ("who", f"{who} for {entry.subject}" if entry.subject_issuer else who),
        ("session", entry.session),
        ("what", f"{what} on {on}" if on else what),
        ("decision", ", ".join(part for part in (entry.verdict.value, why) if part)),
        ("policies", " ".join(entry.policies)),
        ("request", entry.request),
        ("when", instant(entry.at)),
    )
