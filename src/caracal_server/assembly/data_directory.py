"""The directory that a deployment keeps on disk: what is in it, and how it is first made."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from caracal_server.ports.entropy import Entropy


class ServerFile(msgspec.Struct, frozen=True):
    """`server.json`: where a running server is, for the command line on the same machine."""

    control: str
    gateway: str
    operator_token_file: str
    data: str
    pid: int


@dataclass(frozen=True, slots=True)
class DataDirectory:
    root: Path

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{(self.root / 'caracal.db').absolute()}"

    def database(self, named: str | None, file: Path | None) -> str:
        """The database's URL: as named, else as the file says, else of the embedded store."""
        if named is None and file is not None:
            return file.read_text(encoding="utf-8").strip()
        return named or self.database_url

    @property
    def operator_token(self) -> Path:
        return self.root / "operator.token"

    @property
    def server_file(self) -> Path:
        return self.root / "server.json"

    def create(self) -> None:
        """Make the directory, for its owner only, if there is none."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def log_origin(self, entropy: Entropy) -> str:
        """The name of this deployment's logs; made once, because auditors know a log by its name."""
        file = self.root / "log-origin"
        if not file.exists():
            self._write(file, f"caracal-{entropy.new_id()[-10:]}.invalid\n".encode())
        return file.read_text().strip()

    def announce(self, server: ServerFile) -> None:
        self._write(self.server_file, msgspec.json.encode(server) + b"\n")

    def withdraw(self) -> None:
        self.server_file.unlink(missing_ok=True)

    @staticmethod
    def _write(file: Path, content: bytes) -> None:
        """Replace a file whole: a reader sees the old one or the new one."""
        partial = file.with_suffix(".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(file)
