"""The peer listener: proves who asks, holds that against what it may ask, proves the answer."""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
import structlog

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.ports.clock import Clock
from caracal_server.web.asgi import JSON_HEADERS, Header, Receive, Reply, Scope, Send, send_reply
from caracal_server.web.limits import InFlight
from caracal_server.web.peers.messages import Done, Fault, encode
from caracal_server.web.peers.proofs import (
    ANSWER_HEADER,
    REQUEST_HEADER,
    Claim,
    SeenRequests,
    answer_mac,
    digest_of,
    read_claim,
    request_mac,
)
from caracal_server.web.peers.services import (
    ALIVE,
    PERMISSIONS,
    Ask,
    PeerName,
    Service,
    service_of,
)
from caracal_server.web.problems import RequestRefused, problem_of
from caracal_server.web.requests import read_body

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
MAX_READING: Final = 64
"""Questions of proven peers whose bodies are read at once."""

Handler = Callable[[Service, bytes], Awaitable[object]]
"""Answers a proven and permitted question: the caller, the body; what it returns is sent as JSON."""

# The body of what is not proven is not read, so nothing more can come over the connection.
_UNPROVEN = Reply(401, (*JSON_HEADERS, (b"connection", b"close")), b'{"error":"unproven"}')
_ABSENT = Reply(404, JSON_HEADERS, b'{"error":"no such question"}')
_log = structlog.get_logger("caracal.peers")


class Answer(NamedTuple):
    ask: Ask
    handler: Handler


class PeerGate:
    """ASGI. Every question is a POST with JSON; whoever is not proven learns nothing."""

    def __init__(
        self,
        me: PeerName,
        keys: Mapping[PeerName, bytes],
        clock: Clock,
        answers: Iterable[Answer],
    ) -> None:
        """Take the keys that each caller's requests to this service are proven with.

        Raises:
            ValueError: a question is not for this service to answer, or is answered twice.
        """
        self._me = me
        self._keys = dict(keys)
        self._clock = clock
        self._seen = SeenRequests(clock.now_us())
        self._reading = InFlight(MAX_READING)
        self._answers: dict[str, Answer] = {}
        for answer in answers:
            if PERMISSIONS[answer.ask].of is not service_of(me) or answer.ask.path in self._answers:
                raise ValueError(f"{answer.ask} is not to be answered here, or answered twice")
            self._answers[answer.ask.path] = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        claim = self._proven(scope["headers"], path)
        body = None if claim is None else await self._body(claim, scope, receive)
        if claim is None or body is None:
            _log.warning("peer_not_proven", path=path[:100])
            await send_reply(send, _UNPROVEN)
            return
        caller = service_of(claim.caller)
        status, document = await self._answer(caller, scope["method"], path, body)
        proof = answer_mac(self._keys[claim.caller], claim.mac, status, document)
        headers = (*JSON_HEADERS, (ANSWER_HEADER, proof))
        await send_reply(send, Reply(status, headers, document))

    async def _body(self, claim: Claim, scope: Scope, receive: Receive) -> bytes | None:
        """The body that a proven header is about, once; `None` when it is another, or comes again."""
        try:
            with self._reading:
                body = await read_body(receive, scope["headers"], MAX_BODY_BYTES)
        except RequestRefused:
            return None
        if not hmac.compare_digest(digest_of(body), claim.digest):
            return None
        return body if self._seen.first(claim, self._clock.now_us()) else None

    def _proven(self, headers: Iterable[Header], path: str) -> Claim | None:
        found = [value for name, value in headers if name == REQUEST_HEADER]
        claim = read_claim(found[0]) if len(found) == 1 else None
        key = None if claim is None else self._keys.get(claim.caller)
        if claim is None or key is None:
            return None
        mac = request_mac(key, claim.caller, self._me, path, claim.at_us, claim.nonce, claim.digest)
        if not hmac.compare_digest(mac, claim.mac):
            return None
        return claim if self._seen.timely(claim, self._clock.now_us()) else None

    async def _answer(
        self, caller: Service, method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        if path == ALIVE:
            return 200, encode(Done())
        answer = self._answers.get(path)
        if answer is None or method != "POST":
            return 404, _ABSENT.body
        if caller not in PERMISSIONS[answer.ask].callers:
            _log.warning("peer_not_permitted", caller=caller.value, ask=answer.ask.value)
            return 403, encode(Fault(Reason.INTERNAL, f"{caller} may not ask for {answer.ask}"))
        try:
            return 200, encode(await answer.handler(caller, body))
        except Unavailable as fault:
            return 503, encode(Fault(fault.reason, fault.detail))
        except msgspec.DecodeError:
            return 400, encode(Fault(Reason.REQUEST_MALFORMED, "the message can not be read"))
        except Exception as fault:  # noqa: BLE001 (the edge: whatever it is, the answer is no)
            return 500, encode(Fault(problem_of(fault, f"peer {caller}").reason, "a fault"))
