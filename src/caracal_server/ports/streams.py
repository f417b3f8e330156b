"""Where revocations are published for readers that do not ask us."""

from collections.abc import Sequence
from typing import Protocol

from caracal.wire.revocation_streams import StreamEntry


class StreamsUnavailable(Exception):
    """The streams can not be read or written; what was being added may be there or not."""


class RevocationStreams(Protocol):
    """Streams on a server that is not ours. Calls take seconds at most."""

    async def position(self) -> int:
        """Up to which position everything was added, as our own signed entries there say; else 0.

        Raises:
            StreamsUnavailable: nobody knows.
        """
        ...

    async def add(self, entries: Sequence[StreamEntry], *, matters_from: int) -> None:
        """Add entries, all or nothing, in order.

        Entries that were added before `matters_from` (microseconds since 1970) may be dropped.

        Raises:
            StreamsUnavailable: they may be there or not.
        """
        ...
