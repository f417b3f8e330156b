"""Signed entries of the streams reach the view; what is not signed does not; silence refuses."""

import asyncio
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from caracal.verify import FollowedRevocations, MemoryRevocations, Standing
from caracal.verify.stream_events import Ended, EpochBegan, InvalidEvent, read_event
from caracal.verify.valkey_feed import BATCH, ValkeyFeed
from caracal.wire.revocation_streams import DELEGATIONS, SESSIONS, sign
from tests.verify.examples import NOW, ZONE, Clocks, resource_mandate, ulid
from tests.verify.stream_server import stream_server

KEY = bytes(range(32))
MANDATE = resource_mandate(2)
MILLISECONDS = int(NOW.timestamp() * 1_000)


def signed(stream=SESSIONS, **fields):
    return fields | {"_sig": sign(stream, fields, KEY)}


def test_the_signature_is_that_of_the_streams_of_stock_servers():
    # printf 'caracal.sessions.revoke\nreason=\nsession_id=s1\nzone_id=z1\n' |
    #   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    fields = {"zone_id": "z1", "session_id": "s1", "reason": "", "_sig": "ignored"}
    expected = "1b8de26b aaae419f 773bade2 fcf340cf a2a5ea04 00b51b58 f97f6252 ae6d9c6a"
    assert sign(SESSIONS, fields, KEY) == expected.replace(" ", "")


def test_an_entry_says_what_ended_once_each_and_in_order():
    fields = signed(
        zone_id=ZONE,
        reason="killed",
        session_id="r",
        sid="r",
        root_sid="root",
        agent_session_id="a",
    )
    assert read_event(SESSIONS, fields, KEY) == Ended(ZONE, ("r", "root", "a"))
    fields = signed(DELEGATIONS, zone_id=ZONE, epoch="12")
    assert read_event(DELEGATIONS, fields, KEY) == EpochBegan(ZONE, 12)


@pytest.mark.parametrize(
    ("stream", "fields"),
    [
        (SESSIONS, {"session_id": "s"}),
        (SESSIONS, {"session_id": "s", "_sig": ""}),
        (SESSIONS, {"session_id": "s", "_sig": "é"}),
        (SESSIONS, signed(session_id="s") | {"session_id": "t"}),
        (SESSIONS, signed(session_id="s") | {"sid": "t"}),
        (SESSIONS, signed(DELEGATIONS, session_id="s")),
        (SESSIONS, signed(reason="x")),
        (SESSIONS, signed(session_id="s", reason="a\nsid=other")),
        (SESSIONS, signed(**{"session_id": "s", "a=b": "c"})),
        (SESSIONS, signed(session_id="s", reason="x" * 1_025)),
        (SESSIONS, signed(session_id="s", **{f"f{n}": "" for n in range(32)})),
        (DELEGATIONS, signed(DELEGATIONS, zone_id=ZONE)),
        (DELEGATIONS, signed(DELEGATIONS, zone_id=ZONE, epoch="-1")),
        (DELEGATIONS, signed(DELEGATIONS, zone_id=ZONE, epoch="9" * 17)),
        (DELEGATIONS, signed(DELEGATIONS, epoch="1")),
    ],
)
def test_what_is_not_signed_or_could_be_read_in_two_ways_says_nothing(stream, fields):
    with pytest.raises(InvalidEvent):
        read_event(stream, fields, KEY)


_TEXTS = st.text("abc_é=\n\udcff", max_size=6)


@given(st.dictionaries(_TEXTS, _TEXTS, max_size=4), st.dictionaries(_TEXTS, _TEXTS, max_size=4))
def test_a_signature_is_good_for_one_entry_only(one, other):
    signature = sign(SESSIONS, one, KEY)
    forged = {**other, "_sig": signature}
    try:
        read_event(SESSIONS, forged, KEY)
    except InvalidEvent:
        return
    assert {n: t for n, t in one.items() if n != "_sig"} == {
        n: t for n, t in other.items() if n != "_sig"
    }


def followed(clocks, capacity=100_000):
    return FollowedRevocations(
        MemoryRevocations(capacity=capacity), seconds=lambda: clocks.seconds, max_age=30
    )


@contextlib.asynccontextmanager
async def feeding(protocol=2, **options):
    clocks = Clocks()
    view = followed(clocks)
    async with stream_server() as server:
        client = Redis(host="127.0.0.1", port=server.port, protocol=protocol, **options)
        feed = ValkeyFeed(
            client, view, key=KEY, now=lambda: clocks.now, seconds=lambda: clocks.seconds
        )
        try:
            yield server, feed, view, clocks
        finally:
            await client.aclose()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decoded", [True, False])
async def test_what_ends_is_seen_in_either_protocol(protocol, decoded):
    async with feeding(protocol, decode_responses=decoded) as (server, feed, view, _):
        assert view.standing(MANDATE, NOW) is Standing.UNKNOWN
        await feed.read()
        assert view.standing(MANDATE, NOW) is Standing.LIVE
        server.add(
            SESSIONS, signed(zone_id=ZONE, agent_session_id=ulid(200)), milliseconds=MILLISECONDS
        )
        await feed.read()
        assert view.standing(MANDATE, NOW) is Standing.REVOKED
        other = resource_mandate(1, session_path=("s",), chain=(), delegation_path=())
        assert view.standing(other, NOW) is Standing.LIVE
        server.add(
            DELEGATIONS, signed(DELEGATIONS, zone_id=ZONE, epoch="18"), milliseconds=MILLISECONDS
        )
        server.add(SESSIONS, signed(zone_id=ZONE, sid="x"), milliseconds=MILLISECONDS)
        await feed.read()
        fresh = resource_mandate(
            1, session_path=("t",), chain=MANDATE.chain[2:], delegation_path=()
        )
        assert view.standing(fresh, NOW) is Standing.STALE
        assert feed.rejected == 0


async def test_a_forged_entry_is_passed_over_and_what_follows_is_read():
    async with feeding() as (server, feed, view, _):
        server.add(SESSIONS, {"session_id": ulid(4)}, milliseconds=MILLISECONDS)
        server.add(SESSIONS, {b"\xff": b"\xff", "_sig": b"\xff"}, milliseconds=MILLISECONDS)
        server.add(SESSIONS, signed(session_id=ulid(5)), milliseconds=MILLISECONDS)
        await feed.read()
        assert feed.rejected == 2
        assert list(view.view._revoked) == [ulid(5)]


async def test_the_view_counts_only_after_the_backlog_is_read():
    async with feeding() as (server, feed, view, _):
        for number in range(BATCH + 1):
            server.add(SESSIONS, signed(session_id=f"s{number}"), milliseconds=MILLISECONDS)
        await feed.read()
        assert view.standing(MANDATE, NOW) is Standing.UNKNOWN
        await feed.read()
        assert view.standing(MANDATE, NOW) is Standing.LIVE
        assert len(view.view) == BATCH + 1


async def test_when_the_server_is_gone_the_view_grows_old_and_refuses_and_recovers():
    async with feeding() as (server, feed, view, clocks):
        following = asyncio.create_task(feed.follow())
        await _until(lambda: view.standing(MANDATE, NOW) is Standing.LIVE)
        server.broken = True
        await _until(lambda: server.reads > 0)
        reads = server.reads
        clocks.move(31)
        await _until(lambda: view.standing(MANDATE, NOW) is Standing.UNKNOWN)
        server.add(SESSIONS, signed(session_id=ulid(4)), milliseconds=MILLISECONDS)
        server.broken = False
        await _until(lambda: view.standing(MANDATE, NOW) is Standing.REVOKED)
        assert server.reads > reads
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following


async def _until(look, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def test_a_short_key_is_no_key():
    with pytest.raises(ValueError, match="32"):
        ValkeyFeed(None, followed(Clocks()), key=b"short")
