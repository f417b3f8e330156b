"""Receipts on disk, read within bounds."""

from pathlib import Path
from typing import Final

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey
from caracal.evidence.receipts import (
    MAX_RECEIPT_CHARACTERS,
    Receipt,
    ReceiptReport,
    parse_receipt,
    verify_receipt,
)
from caracal_server.cli.failures import CommandFailed, ExitCode

ADVICE: Final = "do not rely on it; fetch it anew, and ask whoever runs the log if that fails, too"


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
