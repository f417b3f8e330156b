"""What the tests of verifiers share: an issuer that is really asked, clocks to move, mandates."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.scopes import ScopeSet
from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal.tokens.mandates import mint
from caracal.verify import (
    UNTIL_EXPIRY,
    AsyncPublishedKeys,
    AsyncVerifier,
    CacheRules,
    Expected,
    NotVerified,
    PublishedKeys,
    Verifier,
)
from tests.tokens.mandate_examples import ISSUER, KEY, NOW, mandate_of_hops, ulid

ZONE = ulid(2)
ORDERS = "resource://orders"
TRUST = {"issuer": ISSUER, "audience": ORDERS, "zone_id": ZONE}
EXPECTED = Expected.of(ISSUER, ORDERS, ZONE)
NEW_KEY = SigningKey.generate(KeyId("key-3"))


def resource_mandate(hops: int = 1, **changes) -> Mandate:
    values = {
        "mandate_class": MandateClass.RESOURCE,
        "audience": (ORDERS,),
        "resources": (ORDERS,),
        "scopes": ScopeSet.of("orders:read", "orders:write"),
    }
    return mandate_of_hops(hops, **(values | changes))


def token(hops: int = 1, key: SigningKey = KEY, **changes) -> str:
    return mint(resource_mandate(hops, **changes), key)


@dataclass
class Clocks:
    """A wall clock and a counter of seconds that move together."""

    now: datetime = NOW
    seconds: float = 1_000.0

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


def answered(body: bytes, **more) -> httpx.Response:
    """An answer whose body is still to be read, as one from a network."""
    return httpx.Response(200, stream=httpx.ByteStream(body), **more)


@dataclass
class Issuer:
    """Answers for the keys; as `httpx` transport it stands where the network would be."""

    keys: KeySet = field(default_factory=lambda: KeySet(KEY.public))
    answer: httpx.Response | Exception | None = None
    asked: list[httpx.Request] = field(default_factory=list)

    def respond(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or answered(self.keys.jwks())

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.respond))

    def async_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.respond))


@dataclass
class Server:
    """A resource server's verifiers with their issuer and clocks."""

    issuer: Issuer = field(default_factory=Issuer)
    clocks: Clocks = field(default_factory=Clocks)
    rules: CacheRules = field(default_factory=CacheRules)

    def verifier(self, **settings) -> Verifier:
        keys = PublishedKeys(
            EXPECTED,
            rules=self.rules,
            client=self.issuer.client,
            seconds=lambda: self.clocks.seconds,
        )
        values = {"revocations": UNTIL_EXPIRY, "now": lambda: self.clocks.now, "keys": keys}
        return Verifier(**(TRUST | values | settings))

    def async_verifier(self, **settings) -> AsyncVerifier:
        keys = AsyncPublishedKeys(
            EXPECTED,
            rules=self.rules,
            client=self.issuer.async_client,
            seconds=lambda: self.clocks.seconds,
        )
        values = {"revocations": UNTIL_EXPIRY, "now": lambda: self.clocks.now, "keys": keys}
        return AsyncVerifier(**(TRUST | values | settings))


def refusal(call, *arguments, **named) -> NotVerified:
    """What the call is refused with; anything else that it raises, or an answer, is a failure."""
    try:
        call(*arguments, **named)
    except NotVerified as refused:
        return refused
    raise AssertionError("it was not refused")


async def async_refusal(awaitable) -> NotVerified:
    try:
        await awaitable
    except NotVerified as refused:
        return refused
    raise AssertionError("it was not refused")
