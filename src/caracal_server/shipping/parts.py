"""What shipping is given to work with; the command line has the real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from caracal_server.ports.upstream import IPAddress, UpstreamClient
from caracal_server.shipping.batches import Batch, Log, Placed


class Undelivered(Exception):
    """Nothing was acknowledged; it will be tried again.

    Attributes:
        refused: the receiver answered that it does not take this, as it stands.
        wait: seconds that the receiver asked to be left alone for.
    """

    def __init__(self, why: str, *, refused: bool = False, wait: float = 0.0) -> None:
        super().__init__(why)
        self.refused = refused
        self.wait = wait


class SourceFailed(Exception):
    """The server could not be asked, or did not have what it should have."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that an archive keeps of some entries."""

    file: str
    first_index: int
    end_index: int
    sha256: str
    bytes: int


class Source(Protocol):
    """The server's logs. Every method raises `SourceFailed`."""

    async def logs(self) -> Sequence[Log]: ...

    async def size(self, log: Log) -> int:
        """How many entries the log has; may be a moment old."""
        ...

    async def read(self, log: Log, first: int, end: int) -> Sequence[Placed]:
        """Entries `first` to `end` (exclusive), in order and without a gap."""
        ...


class Recorder(Protocol):
    """Puts on record what was exported."""

    async def record(
        self, log: Log, first: int, end: int, destination: str, manifest_sha256: str
    ) -> None:
        """Raise `SourceFailed` unless it is on record."""
        ...


class Network(Protocol):
    """Ways out, all of them behind the egress rules."""

    async def addresses(self, host: str, port: int) -> Sequence[IPAddress]:
        """The addresses that may be dialled for a host. Raises `Undelivered` when there are none."""
        ...

    def http(self, ca_file: Path | None) -> UpstreamClient:
        """A client of its own, which its user closes. Raises `OSError`: the file will not do."""
        ...


class Sink(Protocol):
    """Where entries go."""

    async def deliver(self, batch: Batch) -> StoredFile | None:
        """Return once the receiver has it for good; the same batch again does no harm.

        Raises:
            Undelivered: it may or may not have it.
        """
        ...

    async def aclose(self) -> None: ...


class ArchiveSink(Sink, Protocol):
    """A sink that keeps files, and can be an archive."""

    destination: str

    async def deliver(self, batch: Batch) -> StoredFile: ...

    async def put(self, name: str, content: bytes) -> None:
        """Store a file durably. Raises `Undelivered`."""
        ...
