"""Public keys as they are passed around: one line, or the file that holds it."""

from pathlib import Path
from typing import Final

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey, parse_verifier_key
from caracal.evidence.witness_keys import WitnessKey, parse_witness_key
from caracal_server.cli.failures import CommandFailed, ExitCode

_MAX_KEY_BYTES: Final = 4096


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
