"""Keys over HTTP: what is asked, what is believed, and that nothing escapes but a refusal."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal.verify import AsyncPublishedKeys, Code, PublishedKeys
from caracal.verify.key_document import MAX_DOCUMENT_BYTES
from caracal.verify.requirements import Expected
from tests.tokens.mandate_examples import OTHER_KEY
from tests.verify.examples import (
    EXPECTED,
    ISSUER,
    KEY,
    NEW_KEY,
    ZONE,
    Server,
    answered,
    async_refusal,
    refusal,
    token,
)


@pytest.fixture(params=["threads", "event loop"])
def server(request) -> Server:
    return Server()


@pytest.fixture
def verify(server, request):
    """One verifier, sync or async, called the same way; it answers with the refusal or the principal."""
    if "threads" in request.node.name:
        verifier = server.verifier()
        return lambda raw: _outcome(verifier.verify, raw)
    verifier = server.async_verifier()

    async def ask(raw):
        return await verifier.verify(raw)

    # A new loop each time: one verifier serves one loop after another.
    return lambda raw: _outcome(lambda raw: asyncio.run(ask(raw)), raw)


def _outcome(call, raw) -> Code | None:
    try:
        call(raw)
    except Exception as error:  # noqa: BLE001 (none may escape)
        return error.code  # anything but a refusal has none, and fails the test
    return None


def test_the_keys_of_the_zone_are_asked_for_once(server, verify):
    assert [verify(token()) for _ in range(3)] == [None] * 3
    [asked] = server.issuer.asked
    assert str(asked.url) == f"{ISSUER}/.well-known/jwks.json?zone_id={ZONE}"
    assert asked.headers["cache-control"] == "no-cache"
    assert asked.headers["accept-encoding"] == "identity"
    server.clocks.move(299)
    verify(token())
    assert len(server.issuer.asked) == 1
    server.clocks.move(1)
    verify(token())
    assert len(server.issuer.asked) == 2


def test_a_rotation_locks_nobody_out(server, verify):
    assert verify(token()) is None
    server.issuer.keys = KeySet(NEW_KEY.public, (KEY.public,))
    server.clocks.move(0.1)
    assert verify(token(key=NEW_KEY)) is None
    assert verify(token()) is None
    assert len(server.issuer.asked) == 2


async def test_keys_that_rotate_in_quick_succession_lock_nobody_out():
    server = Server()
    sync = server.verifier(keys=PublishedKeys(EXPECTED, client=server.issuer.client))
    later = server.async_verifier(
        keys=AsyncPublishedKeys(EXPECTED, client=server.issuer.async_client)
    )
    for number in range(4):
        key = SigningKey.generate(KeyId(f"quick-{number}"))
        server.issuer.keys = KeySet(key.public)
        sync.verify(token(key=key))
        await later.verify(token(key=key))
    assert len(server.issuer.asked) == 8


def test_made_up_key_ids_cause_one_fetch_a_second(server, verify):
    for asked in (1, 2, 3):
        for _ in range(5):
            assert verify(token(key=OTHER_KEY)) is Code.INVALID_TOKEN
        assert len(server.issuer.asked) == asked
        server.clocks.move(1)
    assert verify(token()) is None


def test_a_token_of_another_zone_fetches_nothing(server, verify):
    assert verify(token(zone_id="another")) is Code.INVALID_ZONE
    assert verify("no.token.atall") is Code.INVALID_TOKEN
    assert verify("") is Code.MISSING_TOKEN
    assert not server.issuer.asked


def test_while_the_issuer_is_down_old_keys_serve_for_a_while_and_then_the_answer_is_no(
    server, verify
):
    long = {"expires_at": server.clocks.now.replace(hour=20)}
    assert verify(token(**long)) is None
    server.issuer.answer = httpx.ConnectError("down")
    server.clocks.move(301)
    assert verify(token(**long)) is None
    assert verify(token(key=OTHER_KEY, **long)) is Code.KEYS_UNAVAILABLE
    server.clocks.move(598)
    assert verify(token(**long)) is None
    server.clocks.move(1)
    assert verify(token(**long)) is Code.KEYS_UNAVAILABLE
    server.issuer.answer = None
    assert verify(token(**long)) is Code.KEYS_UNAVAILABLE
    server.clocks.move(30)
    assert verify(token(**long)) is None


def test_a_failing_issuer_is_asked_less_and_less(server, verify):
    server.issuer.answer = httpx.Response(500)
    for _ in range(600):
        assert verify(token(key=KEY)) is Code.KEYS_UNAVAILABLE
        if len(server.issuer.asked) == 8:
            break
        server.clocks.move(0.5)
    # 1, 2, 4, 8, 16, 30 and 30 seconds apart.
    assert server.clocks.seconds - 1_000 == 91


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"location": f"{ISSUER}/elsewhere"}),
        httpx.Response(204),
        answered(b""),
        answered(b"[]"),
        answered(b'{"keys":[]}'),
        answered(b"[" * 100_000),
        answered(b"\xff"),
        answered(KeySet(KEY.public).jwks(), headers={"content-encoding": "x"}),
        answered(b'{"keys":[' + b" " * MAX_DOCUMENT_BYTES + b"]}"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("odd"),
        OSError("no route"),
        ValueError("anything"),
        RuntimeError("anything at all"),
    ],
    ids=repr,
)
def test_whatever_the_issuer_does_the_answer_is_503_and_never_another_exception(
    server, verify, answer
):
    server.issuer.answer = answer
    assert verify(token()) is Code.KEYS_UNAVAILABLE
    assert len(server.issuer.asked) == 1


def test_a_refusal_for_want_of_keys_says_when_to_come_back():
    server = Server()
    server.issuer.answer = httpx.Response(500)
    verifier = server.verifier()
    refused = refusal(verifier.verify, token())
    assert (refused.status, refused.retry_after) == (503, 1)


class _Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Bytes for as long as somebody reads; more than allowed is a failure of the test."""

    def __init__(self):
        self.given = 0

    def _piece(self) -> bytes:
        self.given += 4096
        assert self.given <= MAX_DOCUMENT_BYTES + 8192, "the bound was passed by"
        return b" " * 4096

    def __iter__(self):
        while True:
            yield self._piece()

    async def __aiter__(self):
        while True:
            yield self._piece()


def test_an_endless_document_is_given_up_while_it_is_read(server, verify):
    endless = _Endless()
    server.issuer.answer = httpx.Response(200, stream=endless)
    assert verify(token()) is Code.KEYS_UNAVAILABLE
    assert MAX_DOCUMENT_BYTES < endless.given <= MAX_DOCUMENT_BYTES + 8192


class _Dripping(httpx.SyncByteStream):
    def __init__(self, clocks):
        self.clocks = clocks

    def __iter__(self):
        for _ in range(100):
            self.clocks.move(1)
            yield b" "


def test_a_document_that_drips_is_given_up_after_five_seconds():
    server = Server()
    server.issuer.answer = httpx.Response(200, stream=_Dripping(server.clocks))
    assert refusal(server.verifier().verify, token()).code is Code.KEYS_UNAVAILABLE
    assert server.clocks.seconds == 1_006


async def test_many_who_wait_cause_one_fetch_and_one_who_gives_up_does_not_stop_it():
    server = Server()
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(request):
        entered.set()
        await release.wait()
        return server.issuer.respond(request)

    keys = AsyncPublishedKeys(
        EXPECTED, client=lambda: httpx.AsyncClient(transport=httpx.MockTransport(slow))
    )
    verifier = server.async_verifier(keys=keys)
    first = asyncio.create_task(verifier.verify(token()))
    await entered.wait()
    others = [asyncio.create_task(verifier.verify(token())) for _ in range(20)]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()
    await asyncio.gather(*others)
    assert len(server.issuer.asked) == 1


def test_a_loop_that_ended_in_the_middle_of_a_fetch_locks_nobody_out():
    server = Server()
    hang = True

    async def answer(request):
        if hang:
            await asyncio.Event().wait()
        return server.issuer.respond(request)

    keys = AsyncPublishedKeys(
        EXPECTED,
        client=lambda: httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        seconds=lambda: server.clocks.seconds,
    )
    verifier = server.async_verifier(keys=keys)

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(verifier.verify(token()), 0.01)

    asyncio.run(give_up())
    hang = False
    server.clocks.move(1)
    asyncio.run(_once(verifier))


def test_a_clock_that_stands_still_keeps_nobody_for_ever():
    server = Server()
    verifier = server.verifier()
    verifier.verify(token())
    refused = refusal(verifier.verify, token(key=NEW_KEY))
    assert (refused.code, refused.retry_after) == (Code.KEYS_UNAVAILABLE, 1)


async def _once(verifier):
    await verifier.verify(token())


def test_many_threads_cause_one_fetch():
    server = Server()
    release, waiting = threading.Event(), threading.Event()

    def slow(request):
        waiting.set()
        assert release.wait(10)
        return server.issuer.respond(request)

    keys = PublishedKeys(EXPECTED, client=lambda: httpx.Client(transport=httpx.MockTransport(slow)))
    verifier = server.verifier(keys=keys)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(verifier.verify, token()) for _ in range(8)]
        assert waiting.wait(10)
        release.set()
        for answer in answers:
            answer.result(10)
    assert len(server.issuer.asked) == 1


async def test_nobody_listens_at_the_issuer():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{unused.getsockname()[1]}"
        trust = {"issuer": issuer, "audience": "resource://a", "zone_id": ZONE}
        server = Server()
        expected = Expected.of(**trust)
        sync = server.verifier(**trust, keys=PublishedKeys(expected))
        later = server.async_verifier(**trust, keys=AsyncPublishedKeys(expected))
        assert refusal(sync.verify, token()).code is Code.KEYS_UNAVAILABLE
        assert (await async_refusal(later.verify(token()))).code is Code.KEYS_UNAVAILABLE


async def test_headers_are_authorized_as_a_whole():
    server = Server()
    sync, later = server.verifier(), server.async_verifier()
    for header in (f"Bearer {token()}", f"bearer {token()}".encode()):
        assert sync.authorize(header) == await later.authorize(header)
    for header in (None, "", "Basic YTpi"):
        assert refusal(sync.authorize, header).code is Code.MISSING_TOKEN
        assert (await async_refusal(later.authorize(header))).code is Code.MISSING_TOKEN


async def test_a_verifier_that_asks_more_shares_the_keys():
    server = Server()
    sync, later = server.verifier(), server.async_verifier()
    stricter, later_stricter = sync.require(scopes=["admin"]), later.require(scopes=["admin"])
    sync.verify(token())
    await later.verify(token())
    assert refusal(stricter.verify, token()).code is Code.INSUFFICIENT_SCOPE
    assert (await async_refusal(later_stricter.verify(token()))).status == 403
    assert len(server.issuer.asked) == 2
    assert stricter.expected == sync.expected == later.expected
    assert later_stricter.requirements == stricter.requirements != sync.requirements
