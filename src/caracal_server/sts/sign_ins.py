"""Sign-ins under way: what a browser carries is sealed to it, what a client is handed works once.

Nothing is kept of a sign-in until it has succeeded, so nobody can fill any memory with beginning some.
"""

import hmac
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from heapq import heappop, heappush
from typing import Annotated, Final

import msgspec

from caracal.authority.identifiers import ApplicationId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens import base64url
from caracal.tokens.secret import Secret
from caracal.wire.authorization import AuthorizationRequest
from caracal_server.ports.peers import Person

TICKET_LIFETIME: Final = timedelta(minutes=10)
CODE_LIFETIME: Final = timedelta(seconds=60)
CAPACITY: Final = 10_000
_MAC_BYTES: Final = 32


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in as far as it has come.

    Attributes:
        id: tells it from every other; what is secret about it is derived from this.
        zone: the zone's id.
        ends: seconds since 1970.
        issuer: whom the person was sent to; empty before they agreed.
    """

    id: Annotated[str, msgspec.Meta(min_length=1)]
    zone: str
    ends: int
    request: AuthorizationRequest
    issuer: str = ""


class Tickets:
    """Seals tickets to a browser, under a key that ends with the process."""

    __slots__ = ("_key",)

    def __init__(self, key: Secret) -> None:
        self._key = key.reveal().encode()

    def seal(self, ticket: Ticket, browser: str) -> str:
        """The ticket as text; only who also holds the browser's cookie can use it."""
        body = msgspec.msgpack.encode(ticket)
        return base64url.encode(self._mac("ticket", browser.encode() + body) + body).decode()

    def open(self, text: str, browser: str, now: datetime) -> Ticket | None:
        """The ticket, if it was sealed here to this browser and has not ended."""
        try:
            raw = base64url.decode(text.encode())
        except ValueError:
            return None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not browser or not hmac.compare_digest(
            mac, self._mac("ticket", browser.encode() + body)
        ):
            return None
        ticket = msgspec.msgpack.decode(body, type=Ticket)
        return ticket if now.timestamp() < ticket.ends else None

    def derive(self, ticket: Ticket, purpose: str) -> str:
        """A secret of the sign-in's, 43 characters: its nonce or its code verifier at this provider."""
        told = f"{ticket.id}\x00{ticket.issuer}".encode()
        return urlsafe_b64encode(self._mac(purpose, told)).rstrip(b"=").decode()

    def _mac(self, purpose: str, message: bytes) -> bytes:
        return hmac.digest(self._key, purpose.encode() + b"\x00" + message, "sha256")


class Granted(msgspec.Struct, frozen=True):
    """What a code stands for."""

    zone: str
    application: ApplicationId
    request: AuthorizationRequest
    person: Person


class Codes:
    """Codes that were handed out: each is good once and for a minute. Only their digests are kept."""

    __slots__ = ("_ends", "_granted")

    def __init__(self) -> None:
        self._granted: dict[bytes, Granted] = {}
        self._ends: list[tuple[datetime, bytes]] = []

    def keep(self, code: str, granted: Granted, now: datetime) -> None:
        """Keep a code.

        Raises:
            Unavailable: too many are there at once.
        """
        self._forget(now)
        if len(self._granted) >= CAPACITY:
            raise Unavailable(Reason.OVERLOADED, "too many people sign in at once")
        digest = sha256(code.encode()).digest()
        self._granted[digest] = granted
        heappush(self._ends, (now + CODE_LIFETIME, digest))

    def take(self, code: Secret, now: datetime) -> Granted | None:
        """What a code stands for; whatever it is used for, it is used then."""
        self._forget(now)
        return self._granted.pop(sha256(code.reveal().encode()).digest(), None)

    def _forget(self, now: datetime) -> None:
        while self._ends and self._ends[0][0] <= now:
            self._granted.pop(heappop(self._ends)[1], None)
