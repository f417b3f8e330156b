"""The document in which an issuer publishes a zone's keys: where it is, and how it is read."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import httpx

from caracal.tokens.keys import KeySet, parse_jwks
from caracal.verify.requirements import Expected, origin

MAX_DOCUMENT_BYTES: Final = 256 * 1024
TIMEOUT_SECONDS: Final = 5.0
_PATH: Final = "/.well-known/jwks.json"
_OK: Final = 200
# An intermediate cache may be older than a rotation: it has to ask the issuer again.
HEADERS: Final = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "cache-control": "no-cache",
}


class UnusableAnswer(Exception):
    """What the issuer answered is not what it publishes."""


def jwks_url(expected: Expected) -> str:
    """Where the zone's keys are.

    Raises:
        ValueError: the issuer is neither https nor on loopback.
    """
    origin(expected.issuer)
    return f"{expected.issuer.rstrip('/')}{_PATH}?zone_id={quote(expected.zone_id, safe='')}"


def plain_client() -> httpx.Client:
    """No proxy out of the environment; the system's certificates decide whom to believe."""
    return httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)


def plain_async_client() -> httpx.AsyncClient:
    """As `plain_client`."""
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)


@dataclass(slots=True)
class KeyDocument:
    """A body that is read piece by piece, and given up at once when it is too much."""

    received: bytearray = field(default_factory=bytearray)

    def begin(self, response: httpx.Response) -> None:
        if response.status_code != _OK:
            raise UnusableAnswer(f"the answer is {response.status_code} instead of 200")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise UnusableAnswer("the answer is encoded, which was not asked for")

    def add(self, piece: bytes) -> None:
        self.received += piece
        if len(self.received) > MAX_DOCUMENT_BYTES:
            raise UnusableAnswer(f"the document has more than {MAX_DOCUMENT_BYTES} bytes")

    def keys(self) -> KeySet:
        """Read what was received.

        Raises:
            InvalidKey: it holds no usable key, or a private one.
        """
        return parse_jwks(bytes(self.received))
