"""Keys of subject issuers are fetched over verified TLS, within bounds, and no more often than told."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, Counter

from caracal.tokens.subject_keys import IssuerKeys
from caracal_server.adapters.http.client import verifying_context
from caracal_server.adapters.http.issuer_keys import (
    FETCHED_AGAIN_SECONDS,
    KEPT_SECONDS,
    MAX_DOCUMENT_BYTES,
    MAX_URLS,
    TRIED_AGAIN_SECONDS,
    FetchedIssuerKeys,
)
from caracal_server.ports.subjects import IssuerKeysUnavailable
from tests.adapters_http.certificates import serving_context, write_ca_file
from tests.adapters_http.raw_upstream import ScriptedResolver, client, ok, upstream
from tests.support.zone import HandClock
from tests.tokens.id_tokens import document, jwk

HOST = "api.example"
OLD, NEW = document(jwk("ES256", kid="old")), document(jwk("ES256", kid="new"))


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory):
    return write_ca_file(tmp_path_factory.mktemp("issuer"))


@dataclass
class Issuer:
    """What an issuer answers now, and how it was asked."""

    answer: bytes = field(default_factory=lambda: ok(OLD))
    heads: list[bytes] = field(default_factory=list)
    clock: HandClock = field(default_factory=HandClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    keys: FetchedIssuerKeys = None
    url: str = ""
    hold: asyncio.Event | None = None

    async def ask(self, kid: str = "old", path: str = "/keys?set=1") -> IssuerKeys:
        return await self.keys.keys(self.url + path, kid)

    async def kids(self, kid: str = "old") -> list[str]:
        return [key.kid for key in (await self.ask(kid)).keys]

    def count(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("fetches_total", {"outcome": outcome})


@asynccontextmanager
async def issuer(ca_file, *, private="127.0.0.1", host=HOST, tls=None, **seconds):
    made = Issuer()

    async def speaks(conversation):
        while True:
            made.heads.append(await conversation.request())
            if made.hold is not None:
                await made.hold.wait()
            await conversation.say(made.answer)

    fetches = Counter("fetches", "x", ["outcome"], registry=made.registry)
    bounds = {"total": 5.0} | seconds
    async with (
        upstream(speaks, serving_context(ca_file)) as there,
        client(
            private,
            tls=tls or verifying_context(None, ca_file),
            resolver=ScriptedResolver(["127.0.0.1"]),
            **bounds,
        ) as upstreams,
    ):
        made.url = f"https://{host}:{there.port}"
        made.keys = FetchedIssuerKeys(upstreams, made.clock, fetches)
        yield made


async def test_a_document_is_fetched_once_and_kept_for_ten_minutes(ca_file):
    async with issuer(ca_file) as it:
        for _ in range(3):
            assert await it.kids() == ["old"]
        [head] = it.heads
        assert head.startswith(b"GET /keys?set=1 HTTP/1.1\r\n")
        assert b"accept: application/json\r\n" in head.lower()
        it.answer = ok(document(jwk("ES256", kid="old"), jwk("RS256", kid="more")))
        it.clock.move(seconds=KEPT_SECONDS - 0.1)
        assert await it.kids() == ["old"]
        it.clock.move(seconds=0.2)
        assert await it.kids() == ["old", "more"]
        assert it.count("fetched") == 2


async def test_a_key_that_was_just_published_is_found_and_made_up_ones_cost_little(ca_file):
    async with issuer(ca_file) as it:
        assert await it.kids() == ["old"]
        it.answer = ok(NEW)
        assert await it.kids("new") == ["old"], "fetched a moment ago"
        it.clock.move(seconds=FETCHED_AGAIN_SECONDS)
        assert await it.kids("new") == ["new"]
        for number in range(50):
            await it.ask(f"made-up-{number}")
        assert len(it.heads) == 2


async def test_a_failure_in_between_leaves_what_is_still_recent(ca_file):
    async with issuer(ca_file) as it:
        assert await it.kids() == ["old"]
        it.answer = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
        it.clock.move(seconds=FETCHED_AGAIN_SECONDS)
        assert await it.kids("new") == ["old"]
        it.clock.move(seconds=KEPT_SECONDS)
        with pytest.raises(IssuerKeysUnavailable, match="500"):
            await it.ask()
        assert it.count("failed") == 2


async def test_an_issuer_that_fails_is_left_alone_for_a_moment(ca_file):
    async with issuer(ca_file) as it:
        it.answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        for _ in range(3):
            with pytest.raises(IssuerKeysUnavailable, match="404 instead of 200"):
                await it.ask()
        assert len(it.heads) == 1
        it.answer = ok(OLD)
        it.clock.move(seconds=TRIED_AGAIN_SECONDS)
        assert await it.kids() == ["old"]


async def test_many_who_want_one_document_wait_for_one_fetch(ca_file):
    async with issuer(ca_file) as it:
        it.hold = asyncio.Event()
        asked = [asyncio.create_task(it.kids()) for _ in range(20)]
        async with asyncio.timeout(5):
            while not it.heads:
                await asyncio.sleep(0)
        it.hold.set()
        assert await asyncio.gather(*asked) == [["old"]] * 20
        assert len(it.heads) == 1


async def test_whoever_waited_for_a_fetch_that_failed_late_is_refused_without_another(ca_file):
    async with issuer(ca_file) as it:
        it.answer = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
        it.hold = asyncio.Event()
        asked = [asyncio.create_task(it.kids()) for _ in range(5)]
        async with asyncio.timeout(5):
            while not it.heads:
                await asyncio.sleep(0)
        it.clock.move(seconds=TRIED_AGAIN_SECONDS + 1)
        it.hold.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {IssuerKeysUnavailable}
        assert len(it.heads) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "302"),
        (ok(b"x" * (MAX_DOCUMENT_BYTES + 1)), "more than 262144 bytes"),
        (ok(b"<html>"), "not a JWKS document"),
        (ok(b'{"keys":[]}'), "no key"),
        (ok(OLD, "Content-Encoding: gzip"), "encoded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n", "protocol_error"),
    ],
)
async def test_what_is_no_key_document_is_refused(ca_file, answer, says):
    async with issuer(ca_file) as it:
        it.answer = answer
        with pytest.raises(IssuerKeysUnavailable, match=says):
            await it.ask()
        assert len(it.heads) == 1


async def test_the_largest_document_is_read(ca_file):
    async with issuer(ca_file) as it:
        it.answer = ok(OLD + b" " * (MAX_DOCUMENT_BYTES - len(OLD)))
        assert await it.kids() == ["old"]


async def test_egress_rules_hold_for_issuers(ca_file):
    async with issuer(ca_file, private="") as it:
        with pytest.raises(IssuerKeysUnavailable, match="loopback"):
            await it.ask()
        assert not it.heads


async def test_tls_is_verified(ca_file):
    async with issuer(ca_file, tls=verifying_context()) as it:
        with pytest.raises(IssuerKeysUnavailable, match="tls_failed"):
            await it.ask()
    async with issuer(ca_file, host="other.example") as it:
        with pytest.raises(IssuerKeysUnavailable, match="tls_failed"):
            await it.ask()


async def test_plain_http_is_not_even_tried(ca_file):
    async with issuer(ca_file) as it:
        it.url = it.url.replace("https", "http")
        with pytest.raises(IssuerKeysUnavailable, match="not https"):
            await it.ask()


async def test_an_issuer_that_takes_too_long_is_given_up(ca_file):
    async with issuer(ca_file, total=0.2) as it:
        it.hold = asyncio.Event()
        with pytest.raises(IssuerKeysUnavailable, match="total_timeout"):
            await it.ask()
        it.hold.set()


async def test_only_so_many_documents_are_kept(ca_file):
    async with issuer(ca_file) as it:
        for number in range(MAX_URLS + 1):
            with pytest.raises(IssuerKeysUnavailable):
                await it.keys.keys(f"http://x.example/{number}", "old")
        assert it.count("failed") == MAX_URLS + 1
        with pytest.raises(IssuerKeysUnavailable):
            await it.keys.keys("http://x.example/1", "old")
        assert it.count("failed") == MAX_URLS + 1, "still known as one that failed"
        with pytest.raises(IssuerKeysUnavailable):
            await it.keys.keys("http://x.example/0", "old")
        assert it.count("failed") == MAX_URLS + 2, "forgotten, and tried again"
