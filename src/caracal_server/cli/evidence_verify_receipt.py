"""`caracal evidence verify-receipt`: hold one receipt to keys known from elsewhere, with no server."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal.authority.events import Entry
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey, parse_verifier_key
from caracal.evidence.receipts import (
    MAX_RECEIPT_CHARACTERS,
    ReceiptReport,
    parse_receipt,
    verify_receipt,
)
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import instant, print_fields, print_json, say, visible

_MAX_KEY_BYTES: Final = 4096
_ADVICE: Final = "do not rely on it; fetch it anew, and ask whoever runs the log if that fails, too"


class Verified(msgspec.Struct, frozen=True):
    """What `--json` prints for a receipt that verifies."""

    verified: bool
    file: str
    origin: str
    index: int
    size: int
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
    json: JsonOption = False,
) -> None:
    """Verify a receipt offline; end with 1 and say why when it does not verify."""
    if log_key is None:
        raise CommandFailed(
            ExitCode.USAGE,
            "a receipt proves nothing without the log's key, known from elsewhere",
            "pass it with --log-key",
        )
    key = _log_key(log_key)
    try:
        report = verify_receipt(parse_receipt(_read(file)), key)
    except EvidenceError as fault:
        if json:
            print_json(NotVerified(False, str(file), str(fault)))
        raise CommandFailed(ExitCode.REFUSED, f"{file} does not verify: {fault}", _ADVICE) from None
    if json:
        print_json(_rendered(file, report))
    else:
        _show(file, report)


def _log_key(given: str) -> VerifierKey:
    text = _key_text(given)
    try:
        return parse_verifier_key(text)
    except EvidenceError as fault:
        raise CommandFailed(ExitCode.USAGE, f"--log-key is not a log's key: {fault}") from None


def _key_text(given: str) -> str:
    """The key itself: as it was given, or as the file that was named holds it."""
    if not Path(given).is_file():
        return given.strip()
    try:
        with Path(given).open("rb") as stream:
            return stream.read(_MAX_KEY_BYTES).decode(errors="replace").strip()
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read {given}: {fault.strerror}") from None


def _read(file: Path) -> str:
    """Read a receipt.

    Raises:
        EvidenceError: it is not text.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(4 * MAX_RECEIPT_CHARACTERS)
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read {file}: {fault.strerror}") from None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise EvidenceError("a receipt is text in UTF-8") from None


def _rendered(file: Path, report: ReceiptReport) -> Verified:
    return Verified(
        verified=True,
        file=str(file),
        origin=report.checkpoint.origin,
        index=report.index,
        size=report.checkpoint.size,
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
