"""What a witness saw last of every log: on disk before anything is signed for it.

One file for each log, replaced as a whole. A directory belongs to one process at a time.
"""

import fcntl
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from caracal.evidence.checkpoints import Checkpoint, parse_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_note

_SEEN: Final = ".seen"
_REFUSED: Final = ".refused"
_UNPROVEN: Final = ".unproven"
_encode = msgspec.json.Encoder().encode


class StateError(Exception):
    """The state can not be used as it is; the message says why."""


class Seen(msgspec.Struct, frozen=True):
    """The newest checkpoint of a log that was cosigned, or was about to be."""

    origin: str
    note: str


class WitnessState:
    """The newest checkpoint of every log, in memory and in a directory."""

    def __init__(self, directory: Path) -> None:
        self._logs = directory / "logs"
        self._lock = directory / "lock"
        self._seen: dict[str, Checkpoint] = {}
        self._held: int | None = None

    @property
    def exists(self) -> bool:
        """Whether a witness began here before."""
        return self._logs.is_dir()

    def begin(self) -> None:
        """Make the directory of a new witness."""
        self._logs.mkdir(mode=0o700, parents=True)
        _sync(self._logs.parent)

    def open(self) -> None:
        """Take the directory for this process, and read what was seen.

        Raises:
            StateError: another process has it, or what is in it can not be read. A witness that goes
                on without its memory would sign for a rewritten log.
        """
        self._held = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise StateError(f"{self._logs.parent}: another witness runs on it") from None
        for draft in self._logs.glob(".draft-*"):
            draft.unlink()
        for file in self._logs.glob(f"*{_SEEN}"):
            seen, checkpoint = _read(file)
            if file.name != _name(seen.origin, _SEEN) or checkpoint.origin != seen.origin:
                raise StateError(f"{file}: not of the log that it names")
            self._seen[seen.origin] = checkpoint

    def close(self) -> None:
        """Leave the directory to others."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def latest(self, origin: str) -> Checkpoint | None:
        """What was stored last for a log."""
        return self._seen.get(origin)

    def store(self, checkpoint: Checkpoint, note: str) -> None:
        """Return once the checkpoint is durable as the newest of its log.

        Raises:
            OSError: it may not be; nothing may be signed for it.
        """
        self._write(_name(checkpoint.origin, _SEEN), _encode(Seen(checkpoint.origin, note)))
        self._seen[checkpoint.origin] = checkpoint

    def keep_refused(self, origin: str, body: str, *, proven: bool) -> None:
        """Keep the first request of a log that contradicts what was seen: its key signed for both.

        `proven` is one that says another tree of the same size. Of others the proof alone is wrong, which
        anybody can send with a checkpoint of an honest log; that is kept apart, and hides no contradiction.
        """
        name = _name(origin, _REFUSED if proven else _UNPROVEN)
        if not (self._logs / name).exists():
            self._write(name, body.encode())

    def _write(self, name: str, data: bytes) -> None:
        descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=self._logs)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            Path(draft).replace(self._logs / name)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        _sync(self._logs)


def _read(file: Path) -> tuple[Seen, Checkpoint]:
    try:
        seen = msgspec.json.decode(file.read_bytes(), type=Seen)
        return seen, parse_checkpoint(parse_note(seen.note).text)
    except (msgspec.DecodeError, EvidenceError, UnicodeDecodeError) as fault:
        raise StateError(f"{file}: {fault}") from None


def _name(origin: str, suffix: str) -> str:
    return sha256(origin.encode()).hexdigest() + suffix


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
