"""Who must have cosigned: keys and policies on the command line, and checkpoints that were kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from caracal.evidence.checkpoints import Checkpoint, verify_checkpoint
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.evidence.notes import MAX_NOTE_BYTES, VerifierKey, parse_note
from caracal.evidence.witness_keys import Cosigned, WitnessKey, require_cosigned
from caracal.evidence.witness_policy import (
    MAX_POLICY_BYTES,
    PolicyError,
    WitnessPolicy,
    parse_policy,
)
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import parse_witness

SinceOption = Annotated[
    Path | None,
    typer.Option(
        "--since", metavar="FILE", help="A checkpoint of this log that was kept, to hold it to."
    ),
]
WitnessKeysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--witness-key",
        metavar="KEY",
        help="A witness that must have cosigned, or a file with its key.",
    ),
]
QuorumOption = Annotated[
    int | None,
    typer.Option("--quorum", min=0, help="How many of them must have cosigned; else all."),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy", metavar="FILE", help="A C2SP policy that the checkpoint must satisfy."
    ),
]

_NONE: Final[tuple[Cosigned, ...]] = ()


def read_witnesses(
    given: list[str] | None, quorum: int | None
) -> tuple[tuple[WitnessKey, ...], int | None]:
    """The witnesses that are named, and how many of them must have cosigned; `None` for all.

    Raises:
        CommandFailed: a key can not be read, or there are fewer than must have.
    """
    witnesses = tuple(parse_witness(one) for one in given or ())
    if quorum is not None and quorum > len(witnesses):
        raise CommandFailed(
            ExitCode.USAGE, f"a quorum of {quorum} needs as many keys", "add --witness-key"
        )
    return witnesses, quorum


def require_cosigners(
    note: str, witnesses: Sequence[WitnessKey], quorum: int | None, policy: Path | None
) -> tuple[Cosigned, ...]:
    """Return who cosigned a checkpoint, as the command line asks for.

    Raises:
        BundleError: fewer did than it asks for.
        CommandFailed: the policy can not be read.
    """
    found = _NONE
    try:
        parsed = parse_note(note)
        if witnesses:
            least = len(witnesses) if quorum is None else quorum
            found = require_cosigned(parsed, witnesses, least)
        if policy is not None:
            found = (*found, *_parsed_policy(policy).require(parsed).cosigned)
    except EvidenceError as fault:
        raise BundleError(str(fault)) from None
    return tuple({one.witness: one for one in found}.values())


def kept_checkpoint(file: Path, key: VerifierKey) -> Checkpoint:
    """Read a checkpoint that was kept.

    Raises:
        CommandFailed: it can not be read, or the log's key did not sign it.
    """
    try:
        return verify_checkpoint(_read(file, MAX_NOTE_BYTES).decode(), key)
    except (EvidenceError, UnicodeDecodeError) as fault:
        raise CommandFailed(
            ExitCode.USAGE, f"{file} is no checkpoint of this log: {fault}", "name the one you kept"
        ) from None


def _parsed_policy(file: Path) -> WitnessPolicy:
    try:
        return parse_policy(_read(file, MAX_POLICY_BYTES))
    except PolicyError as fault:
        raise CommandFailed(ExitCode.USAGE, f"{file} is no policy: {fault}") from None


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(most + 1)
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read {file}: {fault.strerror}") from None
