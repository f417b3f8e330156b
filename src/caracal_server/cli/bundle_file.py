"""Bundles on disk: written whole or not at all, read line by line within bounds."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from caracal.evidence.bundle_lines import MAX_LINE_BYTES, is_closing, parse_header
from caracal.evidence.checkpoints import parse_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_note
from caracal_server.cli.failures import CommandFailed, ExitCode

_BUFFER_BYTES: Final = 1024 * 1024


class Written(msgspec.Struct, frozen=True):
    """What a bundle that was written says of itself. Nothing of it is verified.

    Attributes:
        openings: the file beside it, with what opens commitments; `None` if there is none.
    """

    file: str
    entries: int
    size: int
    key: str
    checkpoint: str
    openings: str | None = None


class _Closing(msgspec.Struct, frozen=True):
    count: int


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Open a draft beside `file` that takes its place, durably, once the body ends well.

    Raises:
        CommandFailed: the file can not be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as fault:
        raise _unwritable(file, fault) from None
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w+b", buffering=_BUFFER_BYTES) as stream:
            yield stream
            _keep(stream, draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _keep(stream: BinaryIO, draft: Path, file: Path) -> None:
    try:
        stream.flush()
        os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as fault:
        raise _unwritable(file, fault) from None


def write_pieces(stream: BinaryIO, pieces: Iterable[bytes], file: Path) -> Iterator[int]:
    """Write pieces, and yield after each how many lines it ended.

    Raises:
        CommandFailed: the disk takes no more.
    """
    for piece in pieces:
        try:
            stream.write(piece)
        except OSError as fault:
            raise _unwritable(file, fault) from None
        yield piece.count(b"\n")


def describe(stream: BinaryIO, file: Path) -> Written:
    """Read off what a bundle says of itself, as long as it came to its end.

    Raises:
        EvidenceError: it is not a bundle, or it broke off.
    """
    stream.seek(0)
    header = parse_header(stream.readline(MAX_LINE_BYTES + 1))
    size = parse_checkpoint(parse_note(header.checkpoint).text).size
    last = b""
    for line in bounded_lines(stream):
        last = line
    if not is_closing(last) or not last.endswith(b"\n"):
        raise EvidenceError("it broke off before its end")
    try:
        count = msgspec.json.decode(last, type=_Closing).count
    except msgspec.DecodeError:
        raise EvidenceError("its last line is not a closing line") from None
    return Written(str(file), count, size, header.verifier_key, header.checkpoint)


def require_closed(stream: BinaryIO) -> None:
    """Require that a file of openings came to its end.

    Raises:
        CommandFailed: it broke off.
    """
    stream.seek(0)
    last = b""
    for line in bounded_lines(stream):
        last = line
    if not is_closing(last) or not last.endswith(b"\n"):
        raise CommandFailed(
            ExitCode.UNAVAILABLE,
            "could not export the openings: they broke off before their end",
            "the bundle was kept; try again, and look at the server's log if it goes on",
        )


def bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines; one that is too long comes in pieces, each too long to be valid."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line


def _unwritable(file: Path, fault: OSError) -> CommandFailed:
    return CommandFailed(
        ExitCode.USAGE, f"can not write {file}: {fault.strerror}", "name another with --output"
    )
