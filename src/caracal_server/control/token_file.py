"""The file that holds the first operator token."""

import os
from pathlib import Path

from caracal.tokens.secret import Secret


def write_token_file(file: Path, token: Secret) -> None:
    """Write a token and a line break, mode 0600, in the place of whatever is there.

    The file appears whole. A link in its place is replaced, not followed.

    Raises:
        OSError: it can not be written.
    """
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(f"{token.reveal()}\n")
        opened.flush()
        os.fsync(handle)
    partial.replace(file)
