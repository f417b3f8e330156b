"""Receipts and keys on disk, read within bounds."""

from pathlib import Path
from typing import Final

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey, parse_verifier_key
from caracal.evidence.receipts import (
    MAX_RECEIPT_CHARACTERS,
    Receipt,
    ReceiptReport,
    parse_receipt,
    verify_receipt,
)
from caracal.evidence.witness_keys import WitnessKey, parse_witness_key
from caracal_server.cli.failures import CommandFailed, ExitCode

_MAX_KEY_BYTES: Final = 4096
ADVICE: Final = "do not rely on it; fetch it anew, and ask whoever runs the log if that fails, too"


def parse_log_key(given: str) -> VerifierKey:
    """A log's key: as it was given, or as the file that was named holds it.

    Raises:
        CommandFailed: it is none.
    """
    try:
        return parse_verifier_key(key_text(given))
    except EvidenceError as fault:
        raise CommandFailed(ExitCode.USAGE, f"--log-key is not a log's key: {fault}") from None


def parse_witness(given: str) -> WitnessKey:
    """A witness's key: as it was given, or as the file that was named holds it.

    Raises:
        CommandFailed: it is none.
    """
    try:
        return parse_witness_key(key_text(given))
    except EvidenceError as fault:
        raise CommandFailed(ExitCode.USAGE, f"--witness-key is not right: {fault}") from None


def key_text(given: str) -> str:
    """The one line of a key: as it was given, or as the file that was named holds it."""
    try:
        if not Path(given).is_file():
            return given.strip()
        with Path(given).open("rb") as stream:
            return stream.read(_MAX_KEY_BYTES).decode(errors="replace").strip()
    except (OSError, ValueError):
        return given.strip()


def read_receipt(file: Path) -> Receipt:
    """Read a receipt; nothing is verified.

    Raises:
        EvidenceError: it is malformed.
        CommandFailed: the file can not be read.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(4 * MAX_RECEIPT_CHARACTERS)
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read {file}: {fault.strerror}") from None
    try:
        return parse_receipt(raw.decode())
    except UnicodeDecodeError:
        raise EvidenceError("a receipt is text in UTF-8") from None


def verified_receipt(file: Path, log_key: VerifierKey) -> ReceiptReport:
    """Read a receipt and verify it.

    Raises:
        CommandFailed: the file can not be read, or what is in it does not verify.
    """
    try:
        return verify_receipt(read_receipt(file), log_key)
    except EvidenceError as fault:
        raise CommandFailed(ExitCode.REFUSED, f"{file} does not verify: {fault}", ADVICE) from None
