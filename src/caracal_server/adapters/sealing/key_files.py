"""Key files: readable by their owner only, made once, never made anew where something needs the old one."""

import base64
import binascii
import os
import stat
import tempfile
from pathlib import Path

KEY_BYTES = 32
_MAX_FILE_BYTES = 256
_PREFIX = "caracal-"


class KeyFileError(Exception):
    """A key file is missing, can be read by others, or holds something else. The message names it."""


def create_key(path: Path, kind: str, key: bytes) -> None:
    """Write a new key durably, with mode 0600: it is written beside its place, and is there whole or not.

    Raises:
        KeyFileError: there is a file already, or it can not be written.
    """
    text = f"{_PREFIX}{kind} {base64.b64encode(key).decode()}\n".encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            # Unlike a rename, a link never takes the place of what is there.
            os.link(draft, path)
        finally:
            Path(draft).unlink()
        sync_directory(path.parent)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None


def load_key(path: Path, kind: str) -> bytes:
    """Read a key of 32 bytes.

    Raises:
        KeyFileError: there is none, others may read it, it belongs to somebody else, or it is not a
            key of this kind.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    try:
        _check_guarded(path, os.fstat(descriptor))
        text = os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)
    head, _, encoded = text.strip().partition(b" ")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if head != f"{_PREFIX}{kind}".encode() or len(key) != KEY_BYTES:
        raise KeyFileError(f"{path}: not a {kind} key")
    return key


def load_or_create_key(path: Path, kind: str, new_key: bytes, *, needed_by: str | None) -> bytes:
    """Read a key, or make it `new_key` on a first start.

    Args:
        path: the key's file.
        kind: what the key is for, as the file states it.
        new_key: what to write when there is no file.
        needed_by: what was sealed or signed under the key already, in words; `None` for nothing.

    Raises:
        KeyFileError: as `load_key`, or the file is missing and something needs it.
    """
    if not os.path.lexists(path):
        if needed_by is not None:
            raise KeyFileError(f"{path}: missing, and {needed_by} can not be used without it")
        create_key(path, kind, new_key)
    return load_key(path, kind)


def _check_guarded(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path}: not a regular file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise KeyFileError(f"{path}: belongs to another user")
    mode = stat.S_IMODE(status.st_mode)
    # Kubernetes and systemd hand files over as root's, readable by the process's group.
    handed_over = status.st_uid == 0 and os.geteuid() != 0
    if mode & (0o037 if handed_over else 0o077):
        raise KeyFileError(f"{path}: mode {mode:04o} lets others use it; run chmod 600 {path}")


def sync_directory(path: Path) -> None:
    """Make what was written, renamed or removed in a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
