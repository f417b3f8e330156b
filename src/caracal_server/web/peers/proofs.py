"""MACs over what peers say to each other. Pure; the keys are those of one pair and one direction.

A request's MAC covers who asks whom, for what, when, and with which body; an answer's covers that MAC, the
status and the body. So a proof is good for one request and one answer, and for nothing else.
"""

import hmac
import re
from hashlib import sha256
from typing import Final, NamedTuple

from caracal_server.web.peers.services import PeerName, parse_peer

REQUEST_HEADER: Final = b"caracal-peer"
ANSWER_HEADER: Final = b"caracal-peer-proof"
WINDOW_US: Final = 30_000_000
"""How far apart the clocks of two peers may be, the time on the way included."""
NONCE_BYTES: Final = 16

_HEADER: Final = re.compile(
    rb"1 ([a-z0-9.-]{1,40}) ([0-9]{1,19}) ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9a-f]{64})"
)


class Claim(NamedTuple):
    """What the header of a request says, before it is believed.

    `digest` is of the body: so the header proves itself before anything of the body is read.
    """

    caller: PeerName
    at_us: int
    nonce: bytes
    digest: bytes
    mac: bytes


def digest_of(body: bytes) -> bytes:
    """The hexadecimal SHA-256 of a body."""
    return sha256(body).hexdigest().encode()


def request_mac(
    key: bytes,
    caller: PeerName,
    callee: PeerName,
    path: str,
    at_us: int,
    nonce: bytes,
    digest: bytes,
) -> bytes:
    """The hexadecimal MAC of a request. `nonce`, and the `digest` of its body, are hexadecimal, too."""
    said = (
        b"caracal-peer/1 request",
        caller.encode(),
        callee.encode(),
        path.encode(),
        b"%d" % at_us,
        nonce,
        digest,
    )
    return hmac.digest(key, b"\n".join(said), "sha256").hex().encode()


def answer_mac(key: bytes, request: bytes, status: int, body: bytes) -> bytes:
    """The hexadecimal MAC of the answer to the request with the MAC `request`."""
    said = (b"caracal-peer/1 answer", request, b"%d" % status, digest_of(body))
    return hmac.digest(key, b"\n".join(said), "sha256").hex().encode()


def render_claim(claim: Claim) -> bytes:
    caller, at_us, nonce, digest, mac = claim
    return b"1 %b %d %b %b %b" % (caller.encode(), at_us, nonce, digest, mac)


def read_claim(header: bytes) -> Claim | None:
    """Read a request's header; `None` when it is not one."""
    found = _HEADER.fullmatch(header)
    if found is None:
        return None
    try:
        caller = parse_peer(found[1].decode())
    except ValueError:
        return None
    return Claim(caller, int(found[2]), found[3], found[4], found[5])


class SeenRequests:
    """The nonces of proven requests, for as long as their instant would let them pass again.

    What was asked before this process began may have been answered by the one before it: it is refused.
    """

    __slots__ = ("_before", "_began_us", "_current", "_turn_us")

    def __init__(self, began_us: int) -> None:
        self._began_us = began_us
        self._current: set[tuple[PeerName, bytes]] = set()
        self._before: set[tuple[PeerName, bytes]] = set()
        self._turn_us = 0

    def timely(self, claim: Claim, now_us: int) -> bool:
        """Whether a request is of this run, and within the window."""
        return claim.at_us >= self._began_us and abs(now_us - claim.at_us) <= WINDOW_US

    def first(self, claim: Claim, now_us: int) -> bool:
        """Remember a proven request; say whether it is timely and new."""
        if not self.timely(claim, now_us):
            return False
        if now_us >= self._turn_us:
            self._before, self._current = self._current, set()
            self._turn_us = now_us + 2 * WINDOW_US
        key = (claim.caller, claim.nonce)
        if key in self._current or key in self._before:
            return False
        self._current.add(key)
        return True
