"""One key file taking over from another: a crash at any moment leaves whatever opens what is stored.

While it lasts, the key before stands beside the present one, in a file of its own. It is written first and
goes last.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.sealing.key_files import (
    KeyFileError,
    create_key,
    load_key,
    sync_directory,
)


@contextmanager
def key_files_as_store() -> Iterator[None]:
    """A key file that can not be read or written is a store that can not be reached.

    Raises:
        Unavailable: in the place of `KeyFileError`.
    """
    try:
        yield
    except KeyFileError as fault:
        raise Unavailable(Reason.STORE_UNAVAILABLE, "a key file can not be used") from fault


@dataclass(frozen=True, slots=True)
class Succession:
    """A key's file and the file of the one before. All methods raise `KeyFileError`."""

    path: Path
    kind: str

    @property
    def before_path(self) -> Path:
        return self.path.with_suffix(f".before{self.path.suffix}")

    def before(self) -> bytes | None:
        """The key before; `None` when no succession is under way."""
        if not os.path.lexists(self.before_path):
            return None
        before = load_key(self.before_path, self.kind)
        # A copy that was made, and nothing after it, is no succession yet.
        return None if before == load_key(self.path, self.kind) else before

    def current(self) -> bytes:
        return load_key(self.path, self.kind)

    def begin(self, next_key: bytes) -> bool:
        """Keep the present key as the one before and put `next_key` in its place, durably.

        Returns:
            Whether that was done; a succession that is under way goes on with the key it has. Either way
            what counts is what `current` and `before` read: memory may lag behind an earlier failure.
        """
        if self.before() is not None:
            return False
        present = load_key(self.path, self.kind)
        if not os.path.lexists(self.before_path):
            create_key(self.before_path, self.kind, present)
        replace_key(self.path, self.kind, next_key)
        return True

    def finish(self) -> None:
        """Drop the key before. Nothing may need it any more."""
        try:
            self.before_path.unlink(missing_ok=True)
            sync_directory(self.path.parent)
        except OSError as error:
            raise KeyFileError(f"{self.before_path}: {error.strerror}") from None


def replace_key(path: Path, kind: str, key: bytes) -> None:
    """Put a key in the place of another, durably: whoever reads sees the one or the other.

    Raises:
        KeyFileError: it can not be written.
    """
    draft = path.with_suffix(f".next{path.suffix}")
    try:
        draft.unlink(missing_ok=True)
        create_key(draft, kind, key)
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
