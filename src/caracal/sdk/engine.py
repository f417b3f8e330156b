"""Flows run: what they want sent is sent, with threads or with asyncio. Nothing is decided here."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx

from caracal.sdk.configuration import Configuration
from caracal.sdk.flows import Caller, Failed, Flow, Pause, Reply, Step
from caracal.wire.calls.refusals import Answer, InvalidRequest

T = TypeVar("T")

SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CLOSED: Final = "the client is closed"


@dataclass(slots=True)
class Engine:
    """Runs flows in the thread that asks; any number of threads may.

    No proxy of the environment is used: what is sent are secrets, and only for the one host.
    """

    configuration: Configuration
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    caller: Caller = field(init=False)
    gateway: httpx.HTTPTransport = field(init=False, repr=False)
    _http: httpx.Client = field(init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.caller = Caller(self.configuration)
        verify = True if self.tls is None else self.tls
        self._http = httpx.Client(verify=verify, timeout=SECONDS, trust_env=False)
        self.gateway = httpx.HTTPTransport(verify=verify, trust_env=False)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end.

        Raises:
            CaracalError: whatever the flow raises, or the client was closed.
        """
        reply: Reply = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as done:
                result: T = done.value
                return result
            reply = self._take(step)

    def close(self) -> None:
        self._closed = True
        self._http.close()
        self.gateway.close()

    def _take(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        request = step.request
        if self._closed:
            raise closed_client(request.what)
        try:
            with self._http.stream(
                request.method, request.url, headers=list(request.headers), content=request.body
            ) as response:
                return answer(response, b"".join(bounded(response.iter_bytes())))
        except (httpx.TransportError, httpx.DecodingError, OversizedAnswer) as fault:
            return failure(fault)


@dataclass(slots=True)
class AsyncEngine:
    """The same in one event loop."""

    configuration: Configuration
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    caller: Caller = field(init=False)
    gateway: httpx.AsyncHTTPTransport = field(init=False, repr=False)
    _http: httpx.AsyncClient = field(init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.caller = Caller(self.configuration)
        verify = True if self.tls is None else self.tls
        self._http = httpx.AsyncClient(verify=verify, timeout=SECONDS, trust_env=False)
        self.gateway = httpx.AsyncHTTPTransport(verify=verify, trust_env=False)

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end.

        Raises:
            CaracalError: whatever the flow raises, or the client was closed.
        """
        reply: Reply = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as done:
                result: T = done.value
                return result
            reply = await self._take(step)

    async def aclose(self) -> None:
        self._closed = True
        await self._http.aclose()
        await self.gateway.aclose()

    async def _take(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        request = step.request
        if self._closed:
            raise closed_client(request.what)
        try:
            async with self._http.stream(
                request.method, request.url, headers=list(request.headers), content=request.body
            ) as response:
                chunks = [chunk async for chunk in abounded(response.aiter_bytes())]
                return answer(response, b"".join(chunks))
        except (httpx.TransportError, httpx.DecodingError, OversizedAnswer) as fault:
            return failure(fault)


class OversizedAnswer(Exception):
    """Caracal does not answer at such length."""


def answer(response: httpx.Response, body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body)


def failure(fault: Exception) -> Failed:
    """What is known of a request that got no answer. The words of httpx name addresses, no secrets."""
    problem = str(fault) or type(fault).__name__
    return Failed(not isinstance(fault, UNSENT), problem)


def bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, as long as they are no more than an answer may have.

    Raises:
        OversizedAnswer: they are.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        _require(size)
        yield chunk


async def abounded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        _require(size)
        yield chunk


def closed_client(what: str) -> InvalidRequest:
    return InvalidRequest(what, _CLOSED, code="client_closed", fix="use it inside its `with` block")


def _require(size: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise OversizedAnswer(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
