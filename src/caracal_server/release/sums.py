"""The files of a release, held against `SHA256SUMS`."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path

import msgspec

from caracal_server.release.findings import Reason, Refusal, ReleaseRefused

SUMS = "SHA256SUMS"
BUNDLE = "provenance.sigstore.json"
ATTESTATION_SUFFIX = ".publish.attestation"

MAX_SUMS_BYTES = 1024 * 1024
MAX_READ_BYTES = 64 * 1024 * 1024

_LINE = re.compile(r"([0-9a-f]+) [ *](\S.*)")
_SHA256_DIGITS = 64
_OTHER_DIGESTS = frozenset({32, 40, 56, 96, 128})


class Release(msgspec.Struct, frozen=True):
    """A directory as it was found: what `SHA256SUMS` says of each file, and what each file is."""

    root: Path
    listed: Mapping[str, str]
    found: Mapping[str, str]
    sums_digest: str

    def read(self, name: str) -> bytes:
        """Read a file that `SHA256SUMS` lists, and only as it was when it was held against it.

        Raises:
            ReleaseRefused: it is not there, or no longer what it was.
        """
        if name not in self.listed:
            raise ReleaseRefused(Reason.MISSING_FILE, name, f"{SUMS} does not list it")
        try:
            content = read_plain(self.root / name, MAX_READ_BYTES)
        except OSError as fault:
            raise ReleaseRefused(Reason.MISSING_FILE, name, f"{fault.strerror}") from None
        if sha256(content).hexdigest() != self.listed[name]:
            raise ReleaseRefused(Reason.CHANGED_FILE, name, f"it is not what {SUMS} lists")
        return content


def read_plain(path: Path, most: int) -> bytes:
    """Read a plain file of at most `most` bytes; never follow a link, never wait for a FIFO's writer.

    Raises:
        ReleaseRefused: it is larger, or is not a plain file.
        OSError: it is not there, is a link, or can not be read.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as stream:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise ReleaseRefused(Reason.MALFORMED, path.name, "it is not a plain file")
        content = stream.read(most + 1)
    if len(content) > most:
        raise ReleaseRefused(Reason.MALFORMED, path.name, f"more than {most} bytes")
    return content


def open_release(root: Path) -> Release:
    """Hash every file of a release.

    Raises:
        ReleaseRefused: `SHA256SUMS` is missing or malformed, or names another digest algorithm.
    """
    try:
        text = read_plain(root / SUMS, MAX_SUMS_BYTES)
    except OSError as fault:
        raise ReleaseRefused(Reason.MISSING_FILE, SUMS, f"{fault.strerror}") from None
    listed = parse_sums(text)
    return Release(root, listed, dict(_digests(root)), sha256(text).hexdigest())


def parse_sums(text: bytes) -> dict[str, str]:
    """Parse lines of `digest, two spaces, name`.

    Raises:
        ReleaseRefused: a line is malformed, or its digest is not SHA-256.
    """
    if len(text) > MAX_SUMS_BYTES:
        raise ReleaseRefused(Reason.MALFORMED, SUMS, f"more than {MAX_SUMS_BYTES} bytes")
    try:
        lines = text.decode().splitlines()
    except UnicodeDecodeError:
        raise ReleaseRefused(Reason.MALFORMED, SUMS, "not UTF-8") from None
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        digest, name = _parse_line(number, line)
        if name in listed:
            raise ReleaseRefused(Reason.MALFORMED, SUMS, f"line {number} lists {name} again")
        listed[name] = digest
    if not listed:
        raise ReleaseRefused(Reason.MALFORMED, SUMS, "it lists nothing")
    return listed


def _parse_line(number: int, line: str) -> tuple[str, str]:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ReleaseRefused(Reason.MALFORMED, SUMS, f"line {number} is not a digest and a name")
    digest, name = parts.groups()
    if len(digest) in _OTHER_DIGESTS:
        bits = len(digest) * 4
        raise ReleaseRefused(
            Reason.WRONG_ALGORITHM, name, f"a digest of {bits} bits, and SHA-256 has 256"
        )
    if len(digest) != _SHA256_DIGITS:
        raise ReleaseRefused(Reason.MALFORMED, SUMS, f"line {number} has no SHA-256 digest")
    if not is_plain_path(name):
        raise ReleaseRefused(Reason.MALFORMED, SUMS, f"line {number} leaves the directory")
    return digest, name


def is_plain_path(name: str) -> bool:
    """Whether a name is a relative path of plain steps, written in one way only."""
    steps = name.split("/")
    return (
        not name.startswith("/")
        and "\\" not in name
        and name.isprintable()
        and all(step not in {"", ".", ".."} for step in steps)
    )


def compare(release: Release) -> Iterator[Refusal]:
    """Yield what differs between the directory and `SHA256SUMS`."""
    owners = {digest: name for name, digest in release.listed.items()}
    for name, digest in release.listed.items():
        found = release.found.get(name)
        if found is None:
            yield Refusal(Reason.MISSING_FILE, name, f"{SUMS} lists it and it is not there")
        elif not found:
            yield Refusal(Reason.ADDED_FILE, name, "it is not a plain file")
        elif found != digest and found in owners:
            yield Refusal(Reason.SWAPPED_FILE, name, f"it has the content of {owners[found]}")
        elif found != digest:
            yield Refusal(Reason.CHANGED_FILE, name, f"its SHA-256 is {found}, listed is {digest}")
    for name, digest in release.found.items():
        if name in release.listed:
            continue
        if not digest:
            yield Refusal(Reason.ADDED_FILE, name, "it is not a plain file")
        elif not _stands_beside(name, release.listed):
            yield Refusal(Reason.ADDED_FILE, name, f"{SUMS} does not list it")


def _stands_beside(name: str, listed: Mapping[str, str]) -> bool:
    """Whether a file is one that signs the others, so that `SHA256SUMS` can not list it."""
    attested = name.removesuffix(ATTESTATION_SUFFIX)
    return name in {SUMS, BUNDLE} or (attested != name and attested in listed)


def _digests(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each file's path and SHA-256; an empty digest for what is not a plain file."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            yield name, ""
        elif path.is_file():
            with path.open("rb") as stream:
                yield name, file_digest(stream, "sha256").hexdigest()
        elif not path.is_dir():
            yield name, ""
