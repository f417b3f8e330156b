"""One process owns a data directory: a lock file that the system releases when its owner dies."""

import fcntl
import os
from pathlib import Path

from caracal_server.adapters.sql.database import DatabaseInUse


class LockFile:
    """An exclusive lock on a path, held until `release`."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            DatabaseInUse: somebody else holds it.
            OSError: the file can not be opened.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._descriptor, 20).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise DatabaseInUse(
                f"process {owner or 'unknown'} already uses {path.parent}; stop it first"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        # The file stays: removing it would let two processes lock two files of one name.
        os.close(self._descriptor)
