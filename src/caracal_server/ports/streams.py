"""Where revocations are published for readers that do not ask us."""

from collections.abc import Sequence
from typing import Protocol

from caracal.wire.revocation_streams import StreamEntry


class StreamsUnavailable(Exception):
    """The streams can not be read or written; what was being added may be there or not."""


class StreamsCut(Exception):
    """What was added before is not on the streams any more."""


class RevocationStreams(Protocol):
    """Streams on a server that is not ours. Calls take seconds at most."""

    async def position(self) -> int:
        """Up to which position everything was added, as our own signed entries there say; else 0.

        Raises:
            StreamsUnavailable: nobody knows.
        """
        ...

    async def add(
        self, entries: Sequence[StreamEntry], *, last: str | None, matters_from: int
    ) -> str:
        """Add at least one entry to the stream of everything, all or nothing, in order.

        Entries that were added before `matters_from` (microseconds since 1970) may be dropped.

        Args:
            entries: what is added.
            last: what the call before returned.
            matters_from: see above.

        Returns:
            What tells the last of them from all others.

        Raises:
            StreamsUnavailable: they may be there or not.
            StreamsCut: they are there, and `last` is not.
        """
        ...
