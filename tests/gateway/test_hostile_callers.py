"""What a hostile caller tries, and that none of it reaches an upstream or crowds out the record."""

import asyncio
import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.events import Verdict
from caracal.authority.outcomes import Refused
from caracal.tokens.keys import KeyId, SigningKey
from caracal_server.gateway.arrival import Arrival, read_arrival
from tests.adapters_http.raw_upstream import answering, eventually, forever, ok
from tests.gateway.raw_client import caller_of, request
from tests.gateway.world import World, gateway, remembering
from tests.support.asgi import ask, scope
from tests.support.zone import KEYS, OTHER_ZONE, ZONE

HELLO = forever(ok(b"hello"))


def encoded(value: object) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def parts(token: str) -> tuple[dict, dict, bytes]:
    header, payload, signature = token.encode().split(b".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + b"==")) for part in (header, payload)]
    return decoded[0], decoded[1], signature


def without_signature(world: World) -> str:
    header, payload, _ = parts(world.token())
    return (encoded(header | {"alg": "none"}) + b"." + encoded(payload) + b".").decode()


def signed_with_the_public_key(world: World) -> str:
    """HS256 with what everyone can read as its secret: the classic confusion of keys."""
    header, payload, _ = parts(world.token())
    signed = encoded(header | {"alg": "HS256"}) + b"." + encoded(payload)
    public = KEYS[ZONE].private.public_key()
    secret = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return (signed + b"." + encoded(hmac.digest(secret, signed, hashlib.sha256))).decode()


def widened(world: World) -> str:
    header, payload, signature = parts(world.token())
    payload |= {"scope": "delete read write"}
    return (encoded(header) + b"." + encoded(payload) + b"." + signature).decode()


def with_its_own_key(world: World) -> str:
    header, payload, _ = parts(world.token())
    own = SigningKey.generate(KeyId("own"))
    signed = encoded(header | {"jwk": {"kty": "EC"}}) + b"." + encoded(payload)
    return (signed + b"." + encoded(own.sign(signed))).decode()


def signed_by_a_stranger(world: World) -> str:
    return world.zone.token(world.mandate(), SigningKey.generate(KeyId(KEYS[ZONE].kid)))


def signed_by_another_zone(world: World) -> str:
    return world.zone.token(world.mandate(), KEYS[OTHER_ZONE])


def of_another_zone_under_this_ones_key(world: World) -> str:
    return world.zone.token(world.mandate(zone_id=OTHER_ZONE), KEYS[ZONE])


def of_another_zone(world: World) -> str:
    """Genuine, and its session belongs to nobody there."""
    return world.zone.token(world.mandate(zone_id=OTHER_ZONE), KEYS[OTHER_ZONE])


def cut_short(world: World) -> str:
    return world.token()[:-2]


def in_the_past(world: World) -> str:
    token = world.token()
    world.zone.clock.move(hours=1)
    return token


def from_the_future(world: World) -> str:
    world.zone.clock.move(minutes=3)
    token = world.token()
    world.zone.clock.move(minutes=-3)
    return token


FORGERIES = {
    without_signature: "mandate_signature",
    signed_with_the_public_key: "mandate_signature",
    widened: "mandate_signature",
    with_its_own_key: "mandate_malformed",
    signed_by_a_stranger: "mandate_signature",
    signed_by_another_zone: "mandate_key_unknown",
    of_another_zone_under_this_ones_key: "mandate_key_unknown",
    of_another_zone: "session_not_live",
    cut_short: "mandate_signature",
    in_the_past: "mandate_expired",
    from_the_future: "mandate_not_yet_valid",
}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_mandate_that_is_not_genuine_opens_nothing(forge):
    async with gateway(HELLO) as world:
        token = forge(world)
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error[2] == FORGERIES[forge]
        assert world.upstream.connections == 0
        assert all(entry.verdict is Verdict.REFUSE for entry in world.log.entries)
        # Only a mandate that was proven may put a name to an entry.
        proven = forge is of_another_zone
        assert all(bool(entry.application) is proven for entry in world.log.entries)
        assert token.encode() not in answer.body


async def test_of_64_uses_of_one_mandate_at_once_exactly_one_reaches_the_upstream():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        headers = world.headers()
        answers = await asyncio.gather(*(world.call(headers=headers) for _ in range(64)))
        assert sorted(answer.status for answer in answers) == [200, *[401] * 63]
        assert len(seen) == 1
        assert [entry.verdict for entry in world.decisions].count(Verdict.ALLOW) == 1
        assert len(world.results) == 1


async def test_a_flood_of_forgeries_is_recorded_within_bounds_and_then_summed_up():
    async with gateway(HELLO) as world:
        forged = signed_by_a_stranger(world)
        for _ in range(500):
            await world.call(authorization=f"Bearer {forged}")
        assert len(world.decisions) == 20
        assert (await world.call()).status == 200, "the real calls were crowded out"
        assert world.decisions[-1].verdict is Verdict.ALLOW
        assert world.registry.get_sample_value("caracal_gateway_refusals_unrecorded_total") == 480
        world.zone.clock.move(seconds=1)
        await world.call(authorization=f"Bearer {forged}")
        assert "480 refusals before this one were not recorded" in world.decisions[-1].detail
        await world.call(authorization=f"Bearer {forged}")
        assert "before this one" not in world.decisions[-1].detail


async def test_a_flood_in_one_zone_takes_no_room_from_another():
    async with gateway(HELLO) as world:
        forged = signed_by_a_stranger(world)
        for _ in range(30):
            await world.call(authorization=f"Bearer {forged}")
        await world.call(authorization=f"Bearer {of_another_zone_under_this_ones_key(world)}")
        assert world.decisions[-1].zone == OTHER_ZONE


async def test_a_flood_of_forgeries_does_not_hide_a_replay():
    async with gateway(HELLO) as world:
        headers = world.headers()
        await world.call(headers=headers)
        forged = signed_by_a_stranger(world)
        for _ in range(30):
            await world.call(authorization=f"Bearer {forged}")
        await world.call(headers=headers)
        assert world.decisions[-1].reason == "mandate_replayed"
        assert "before this one" not in world.decisions[-1].detail
        assert len(world.decisions) == 22


async def test_replays_of_a_genuine_mandate_are_bounded_too_and_wait_for_no_disk():
    async with gateway(HELLO) as world:
        headers = world.headers()
        await world.call(headers=headers)
        world.log.fails = "before"
        for _ in range(50):
            assert (await world.call(headers=headers)).error[2] == "mandate_replayed"
        assert len(world.decisions) == 21


DUPLICATES = ["authorization", "host", "x-caracal-resource", "content-length", "transfer-encoding"]


@pytest.mark.parametrize("name", DUPLICATES)
async def test_a_header_that_decides_may_not_stand_twice(name):
    async with gateway(HELLO) as world:
        headers = [*world.headers(content_length="0"), (b"transfer-encoding", b"chunked")]
        value = next(value for key, value in headers if key == name.encode())
        answer = await world.call(headers=[*headers, (name.encode(), value)])
        assert answer.error == (400, "invalid_token", "header_duplicate")
        assert name in answer.json["error_description"]
        assert world.log.entries == []


FRAMINGS = [
    {"content_length": "5", "transfer_encoding": "chunked"},
    {"transfer_encoding": "gzip, chunked"},
    {"transfer_encoding": "identity"},
    {"content_length": "-1"},
    {"content_length": "+5"},
    {"content_length": "5, 5"},
    {"content_length": "0x5"},
    {"content_length": "5" * 19},
]


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_length_that_two_parsers_could_read_differently_is_refused(framing):
    async with gateway(HELLO) as world:
        answer = await ask(world.app, "POST", "/items", world.headers(**framing))
        assert answer.error == (400, "invalid_request", "framing_invalid")
        assert world.upstream.connections == 0


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "get", "GET /", "", "A" * 21])
async def test_a_method_that_would_turn_the_gateway_around_is_not_passed_on(method):
    async with gateway(HELLO) as world:
        world.without_operations()
        answer = await world.call(method)
        assert answer.error == (405, "invalid_request", "method_unsupported")
        assert "GET" in answer.header("allow")
        assert world.upstream.connections == 0


async def test_headers_over_the_limit_are_refused():
    async with gateway(HELLO, settings={"max_header_bytes": 2048}) as world:
        answer = await world.call(x_padding="a" * 2048)
        assert answer.error == (431, "invalid_request", "headers_too_large")


async def test_a_body_that_is_not_as_long_as_announced_is_an_error_of_the_caller():
    for body in ([b"longer", b"than five"], [b"abc"]):
        async with gateway(HELLO) as world:
            answer = await world.call("POST", "/items", body=body, content_length="5")
            assert answer.error == (400, "invalid_token", "request_malformed")
            assert world.pair()[1].reason == "request_malformed"


async def test_a_body_that_ends_with_its_caller_is_recorded_as_that():
    async with gateway(HELLO) as world:

        async def receive() -> dict[str, object]:
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            pass

        headers = world.headers(content_length="5")
        await world.app(scope("POST", "/items", headers), receive, send)
        result = world.pair()[1]
        assert (result.reason, result.error) == ("client_gone", "caller_gone")


# What follows goes over a real socket: the listener's parser is part of the promise.

SMUGGLED = {
    "length and chunks": "POST /items HTTP/1.1|Content-Length: 4|Transfer-Encoding: chunked",
    "chunks and length": "POST /items HTTP/1.1|Transfer-Encoding: chunked|Content-Length: 4",
    "two lengths": "POST /items HTTP/1.1|Content-Length: 4|Content-Length: 5",
    "two equal lengths": "POST /items HTTP/1.1|Content-Length: 4|Content-Length: 4",
    "a length that is none": "POST /items HTTP/1.1|Content-Length: 4x",
    "a coding that hides": "POST /items HTTP/1.1|Transfer-Encoding: xchunked",
    "two codings": "POST /items HTTP/1.1|Transfer-Encoding: chunked|Transfer-Encoding: chunked",
    "a space before the colon": "POST /items HTTP/1.1|Content-Length : 4",
    "a folded header": "POST /items HTTP/1.1|X-A: b|\tTransfer-Encoding: chunked",
    "a bare line feed": "POST /items HTTP/1.1|X-A: b\nTransfer-Encoding: chunked",
    "an authority": "CONNECT upstream.example:443 HTTP/1.1",
    "an asterisk": "OPTIONS * HTTP/1.1",
    "two hosts": "GET /items/7 HTTP/1.1|Host: other.example",
    "an old version": "GET /items/7 HTTP/1.0",
}


@pytest.mark.parametrize("case", SMUGGLED)
async def test_framing_that_could_smuggle_a_request_gets_no_further_than_the_listener(case):
    line, *fields = SMUGGLED[case].split("|")
    seen: list[bytes] = []
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: upstream\r\n\r\n"
    async with gateway(remembering(seen, ok(b""))) as world, caller_of(world) as caller:
        await caller.say(request(world, line, *fields, body=smuggled))
        status, _ = await caller.head()
        assert status == 400
        assert seen == []
        assert not any(entry.verdict is Verdict.ALLOW for entry in world.decisions)


async def test_an_absolute_target_means_its_path_and_names_no_other_upstream():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b"hello"))) as world, caller_of(world) as caller:
        await caller.say(request(world, "GET http://169.254.169.254/items/7?a=b HTTP/1.1"))
        assert (await caller.response())[2] == b"hello"
    assert seen[0].startswith(b"GET /items/7?a=b HTTP/1.1\r\n")
    assert b"169.254.169.254" not in seen[0]


async def test_pipelined_calls_are_judged_one_by_one_and_in_order():
    async with gateway(answering(ok(b"one"), ok(b"two"))) as world, caller_of(world) as caller:
        token = world.token()
        again = request(world, token=token)
        await caller.say(request(world, token=token) + again + request(world))
        answers = [await caller.response() for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 401, 200]
        assert [answers[0][2], answers[2][2]] == [b"one", b"two"]
        await eventually(lambda: len(world.results) == 2)


async def test_an_upgrade_is_not_passed_on():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b"plain"))) as world, caller_of(world) as caller:
        await caller.say(
            request(world, "GET /items/7 HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket")
        )
        assert (await caller.response())[0] == 200
    assert b"pgrade" not in seen[0]


NAMES = st.sampled_from(
    [
        b"authorization",
        b"content-length",
        b"transfer-encoding",
        b"x-caracal-resource",
        b"host",
        b"x",
    ]
)


@given(
    st.text(max_size=8),
    st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=6),
)
def test_any_headers_are_read_in_one_way_or_refused(method, headers):
    arrival = read_arrival(method, "1.1", headers, max_header_bytes=64)
    if isinstance(arrival, Refused):
        return
    assert isinstance(arrival, Arrival)
    names = [name for name, _ in headers if name != b"x"]
    assert len(set(names)) == len(names)
    assert not (b"content-length" in names and b"transfer-encoding" in names)
    assert arrival.has_body == (b"transfer-encoding" in names or (arrival.content_length or 0) > 0)


SEGMENTS = st.one_of(
    st.binary(max_size=20).map(encoded),
    st.sampled_from([encoded({"alg": "ES256", "kid": KEYS[ZONE].kid, "typ": "at+jwt"})]),
    st.sampled_from([encoded({"zone_id": ZONE}), encoded({"zone_id": 7}), encoded([])]),
)


@given(st.one_of(st.binary(max_size=60), st.lists(SEGMENTS, max_size=4).map(b".".join)))
async def test_no_bearer_makes_the_gateway_fail(bearer):
    async with gateway(HELLO) as world:
        headers = [(b"host", b"x"), (b"authorization", b"Bearer " + bearer)]
        assert (await ask(world.app, "GET", "/items/7", headers)).status in {400, 401}


async def test_a_mandate_that_this_process_signed_is_judged_like_any_other():
    async with gateway(HELLO) as world:

        def remembered(**changes: object) -> str:
            mandate = world.mandate(**changes)
            token = world.zone.token(mandate)
            world.app.enforcement.minted.remember(token, mandate)
            return f"Bearer {token}"

        once = remembered()
        assert (await world.call(authorization=once)).status == 200
        assert (await world.call(authorization=once)).error[2] == "mandate_replayed"
        for changes, reason in (
            ({"x_caracal_resource": "https://none.example"}, "resource_unknown"),
            ({"x_caracal_resource": ""}, "routing_missing"),
        ):
            refused = await world.call(authorization=remembered(), **changes)
            assert refused.error[2] == reason
        late, revoked = remembered(), remembered()
        world.zone.clock.move(minutes=4, seconds=59)
        assert (await world.call(authorization=late)).error[2] == "mandate_expiring"
        world.zone.clock.move(minutes=-4)
        world.zone.end(world.session)
        assert (await world.call(authorization=revoked)).error[2] == "mandate_revoked"
        altered = remembered()[:-4] + "AAAA"
        assert (await world.call(authorization=altered)).error[2] == "mandate_signature"
