"""Where a log's tiles are read from: a directory, or an address; both laid out alike."""

from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import httpx

from caracal.evidence.errors import EvidenceError
from caracal.evidence.tiles import (
    MAX_BUNDLE_BYTES,
    WIDTH,
    EntryBundle,
    Tile,
    parse_bundle,
    render_bundle,
)
from caracal.evidence.tree import HASH_BYTES
from caracal.tokens.secret import Secret
from caracal_server.cli.failures import CommandFailed, ExitCode

CHECKPOINT: Final = "checkpoint"
TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_NOT_THERE = frozenset({404, 410})
_UNAUTHORISED = frozenset({401, 403})


class TileSource(Protocol):
    """Files below a log's prefix. Nothing of them is verified."""

    @property
    def name(self) -> str: ...

    def read(self, path: str) -> bytes | None:
        """Return a file; `None` when it is not there.

        Raises:
            CommandFailed: that can not be told.
        """
        ...


class Directory:
    """A log's files on a disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(root)

    def read(self, path: str) -> bytes | None:
        try:
            with (self.root / path).open("rb") as stream:
                data = stream.read(MAX_BUNDLE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as fault:
            where = self.root / path
            raise CommandFailed(ExitCode.USAGE, f"can not read {where}: {fault.strerror}") from None
        _require_bounded(len(data), path)
        return data


class Address:
    """A log's files under a URL, of Caracal or of any web server."""

    def __init__(self, prefix: str, token: Secret | None) -> None:
        self.name = prefix.rstrip("/")
        headers = {} if token is None else {"authorization": f"Bearer {token.reveal()}"}
        self._client = httpx.Client(
            headers=headers, timeout=TIMEOUT, follow_redirects=False, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def read(self, path: str) -> bytes | None:
        url = f"{self.name}/{path}"
        try:
            with self._client.stream("GET", url) as response:
                if response.status_code in _NOT_THERE:
                    return None
                if not response.is_success:
                    raise _refused(url, response.status_code)
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    _require_bounded(len(body), path)
                return bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise CommandFailed(
                ExitCode.UNREACHABLE, f"can not read {url}: {type(fault).__name__}"
            ) from None


def read_place(source: TileSource, place: Tile | EntryBundle) -> bytes | None:
    """Read a tile or a bundle; of one that is partial, from the full one where only that is left.

    Raises:
        EvidenceError: it is no bundle.
        CommandFailed: see `TileSource.read`.
    """
    found = source.read(place.path)
    if found is not None or place.width == WIDTH:
        return found
    if isinstance(place, Tile):
        full = source.read(Tile(place.level, place.index).path)
        return None if full is None else full[: place.width * HASH_BYTES]
    full = source.read(EntryBundle(place.index).path)
    return None if full is None else render_bundle(parse_bundle(full, WIDTH)[: place.width])


def _require_bounded(length: int, path: str) -> None:
    if length > MAX_BUNDLE_BYTES:
        raise CommandFailed(ExitCode.REFUSED, f"{path} is longer than any tile or bundle can be")


def _refused(url: str, status: int) -> CommandFailed:
    if status in _UNAUTHORISED:
        return CommandFailed(
            ExitCode.UNAUTHORISED,
            f"{url} answered {status}",
            "name the file of an operator token with the scope `read` with --token-file",
        )
    return CommandFailed(ExitCode.UNAVAILABLE, f"{url} answered {status}", "try again later")


class Missing(EvidenceError):
    """A file that must be there is not."""


def need(source: TileSource, place: Tile | EntryBundle) -> bytes:
    """Read a tile or a bundle that must be there.

    Raises:
        Missing: it is not.
        EvidenceError, CommandFailed: see `read_place`.
    """
    found = read_place(source, place)
    if found is None:
        raise Missing(f"{place.path} is missing")
    return found
