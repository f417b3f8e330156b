"""How far each sink has come, kept on disk: written after what it says has happened."""

from datetime import datetime
from pathlib import Path

import msgspec

from caracal_server.shipping.files import write_durably
from caracal_server.shipping.parts import StoredFile


class CursorUnreadable(Exception):
    """A cursor is not what this program wrote; nothing is delivered until somebody looks."""


class Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far one log has come at one sink.

    Attributes:
        origin: of the log; a state directory does not serve another server's.
        next_index: every entry before it was acknowledged.
        planned: the end of the batch under way, or 0: after a crash the same batch is delivered again.
        unrecorded: what was stored and is not on record yet.
    """

    origin: str
    next_index: int = 0
    planned: int = 0
    unrecorded: tuple[StoredFile, ...] = ()
    delivered_at: datetime | None = None


class CursorFile:
    """One cursor. `load` raises `CursorUnreadable`, `save` raises `OSError`."""

    def __init__(self, state: Path, sink: str, zone: str) -> None:
        self.file = state / sink / f"{zone}.json"

    def load(self, origin: str) -> Cursor:
        try:
            cursor = msgspec.json.decode(self.file.read_bytes(), type=Cursor)
        except FileNotFoundError:
            return Cursor(origin)
        except (OSError, ValueError):
            raise CursorUnreadable(f"{self.file} can not be read as a cursor") from None
        if cursor.origin != origin:
            raise CursorUnreadable(f"{self.file} is of the log {cursor.origin}, not of {origin}")
        return cursor

    def save(self, cursor: Cursor) -> None:
        write_durably(self.file, msgspec.json.encode(cursor))
