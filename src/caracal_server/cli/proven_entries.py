"""The entries of a bundle that verifies."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from caracal.evidence.bundle_lines import is_closing, parse_entry
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.wire.dropped_entries import verify_log
from caracal_server.cli.bundle_file import bounded_lines
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.key_files import parse_log_key


def proven_entries(file: Path, log_key: str | None) -> Iterator[tuple[int, bytes]]:
    """Verify a bundle whole, then yield its entries with their indexes.

    Raises:
        CommandFailed: it can not be read, does not verify, or is another one on the second reading.
    """
    key = None if log_key is None else parse_log_key(log_key)
    try:
        with file.open("rb") as stream:
            first, second = _Digested(stream), _Digested(stream)
            verify_log(iter(first), key)
            stream.seek(0)
            lines = iter(second)
            next(lines)
            for line in lines:
                if not is_closing(line):
                    found = parse_entry(line)
                    yield found.index, found.entry
            if first.digest.digest() != second.digest.digest():
                raise BundleError("it changed while it was read")
    except EvidenceError as fault:
        raise CommandFailed(
            ExitCode.REFUSED,
            f"{file} does not verify: {fault}",
            "nothing in it can be relied on; get the evidence anew from its source",
        ) from None
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read {file}: {fault.strerror}") from None


class _Digested:
    """The lines of a file, and the digest of those that were read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = sha256()

    def __iter__(self) -> Iterator[bytes]:
        for line in bounded_lines(self._stream):
            self.digest.update(line)
            yield line
