"""What goes upstream: the credential in its place, the caller's headers without what is not theirs."""

import base64
from datetime import timedelta
from urllib.parse import parse_qsl, quote, quote_plus

import pytest

from caracal.authority.mandates import Bound, MandateClass
from caracal.authority.narrowing import Link
from caracal.authority.scopes import ScopeSet
from caracal.authority.zones import CredentialKind, Provider
from caracal.tokens.holders import HolderKey
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.links import sign_link
from caracal.tokens.mandates import verify_mandate
from caracal_server.gateway.placement import Placement, place
from tests.adapters_http.raw_upstream import answering, ok
from tests.gateway.world import CREDENTIAL, World, gateway, remembering
from tests.support.zone import ISSUER, KEYS, ORDERS, ZONE


class Sent:
    """A request as the upstream read it."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        self.method, self.target, _ = line.decode().split(" ")
        self.fields = [tuple(field.decode().split(": ", 1)) for field in fields]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name]

    def one(self, name: str) -> str:
        [value] = self.all(name)
        return value


async def sent_with(
    provider: Provider | None,
    credential: str | None = CREDENTIAL,
    target: str = "/items/7",
    **headers: str,
) -> tuple[Sent, World]:
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        if provider is not None:
            world.provide(provider, credential)
        answer = await world.call("GET", target, **headers)
        assert answer.status == 200, answer.body
        return Sent(seen[0]), world


def provider(kind: CredentialKind, **placed: object) -> Provider:
    return Provider("p1", "payments", kind, **placed)


async def test_a_bearer_token_takes_the_place_of_the_callers_mandate():
    sent, world = await sent_with(provider(CredentialKind.BEARER_TOKEN, scheme="Bearer"))
    assert sent.one("authorization") == f"Bearer {CREDENTIAL}"
    assert not any(CREDENTIAL in repr(entry) for entry in world.log.entries)


async def test_a_bearer_token_may_stand_in_another_header_which_the_caller_can_not_fill():
    placed = provider(CredentialKind.BEARER_TOKEN, header="X-Token", scheme="Token")
    sent, _ = await sent_with(placed, x_token="mine")
    assert sent.one("x-token") == f"Token {CREDENTIAL}"
    assert sent.all("authorization") == []


async def test_the_spelling_of_a_header_lets_no_second_credential_past():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        world.provide(provider(CredentialKind.API_KEY, header="X-Api-Key"))
        headers = [*world.headers(), (b"x_api_key", b"mine"), (b"X-API-KEY", b"mine")]
        assert (await world.call(headers=headers)).status == 200
    assert b"mine" not in seen[0]
    assert Sent(seen[0]).one("x-api-key") == CREDENTIAL


async def test_an_api_key_in_the_query_replaces_every_spelling_of_the_callers_own():
    placed = provider(CredentialKind.API_KEY, query_parameter="api key")
    target = "/items/7?a=1&api+key=x&b=2&api%20key=y&API%20KEY=z&c=3;api+key=w"
    sent, world = await sent_with(placed, "s&cret=/?", target)
    assert sent.target == "/items/7?a=1&b=2&api%20key=s%26cret%3D%2F%3F"
    assert dict(parse_qsl(sent.target.partition("?")[2]))["api key"] == "s&cret=/?"
    assert all("cret" not in repr(entry) for entry in world.log.entries)


async def test_an_api_key_in_the_query_stands_alone_when_the_caller_sends_none():
    sent, _ = await sent_with(provider(CredentialKind.API_KEY, query_parameter="key"))
    assert sent.target == f"/items/7?key={CREDENTIAL}"


KEY_IN_QUERY = provider(CredentialKind.API_KEY, query_parameter="app id")


@pytest.mark.parametrize(
    ("location", "returned"),
    [
        ("/x/?app%20id={}", "/x/"),
        ("/x/?a=1&app+id={}&b=2#top", "/x/?a=1&b=2#top"),
        ("?%41PP%20ID={}", ""),
        ("/x/?a=1;app+id={}&b=2", "/x/?b=2"),
        ("/login?next=/x/?app%20id={}", None),
        ("/login?next=%2Fx%3Fapp%2520id%3D{}", None),
        ("/keys/{}/x", None),
        ("/x#app%20id={}", None),
        ("/x/?a=1", "/x/?a=1"),
    ],
)
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
async def test_a_redirect_does_not_hand_the_credential_of_the_query_to_the_caller(
    name, location, returned
):
    for secret in (CREDENTIAL, "s&cret=/? ü"):
        for spelling in (quote(secret, safe=""), quote_plus(secret), quote(quote(secret))):
            response = b"HTTP/1.1 301 Moved Permanently\r\nContent-Length: 0\r\n%b: %b\r\n\r\n"
            place_to_go = location.format(spelling).encode()
            async with gateway(answering(response % (name.encode(), place_to_go))) as world:
                world.provide(KEY_IN_QUERY, secret)
                answer = await world.call()
            assert (answer.status, answer.header(name.lower())) == (301, returned)


async def test_links_stay_out_of_an_answer_to_a_call_whose_query_held_the_credential():
    response = ok(b"", f"Link: </x?app+id={CREDENTIAL}>; rel=next", "Refresh: 5", "X-Other: 1")
    for placed, linked in ((KEY_IN_QUERY, False), (provider(CredentialKind.API_KEY), True)):
        async with gateway(answering(response)) as world:
            world.provide(placed)
            answer = await world.call()
        assert (answer.header("link") is not None, answer.header("x-other")) == (linked, "1")


async def test_http_basic_is_user_and_password_in_base64():
    placed = provider(CredentialKind.HTTP_BASIC, username="jörg", scheme="Basic")
    sent, _ = await sent_with(placed, "pä:ss")
    scheme, _, pair = sent.one("authorization").partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", "jörg:pä:ss")


async def test_without_a_credential_the_callers_mandate_still_stays_here():
    for placed in (None, provider(CredentialKind.NONE)):
        sent, _ = await sent_with(placed, None)
        assert sent.all("authorization") == []
        assert sent.all("x-caracal-resource") == []


def verified(token: str, world: World) -> object:
    return verify_mandate(
        RawToken(token.encode()),
        keys=KeySet(KEYS[ZONE].public),
        issuer=ISSUER,
        zone_id=ZONE,
        mandate_classes={MandateClass.RESOURCE},
        audience=ORDERS,
        now=world.zone.clock.now(),
    ).mandate


async def test_an_upstream_of_ours_gets_a_mandate_that_it_can_verify_itself():
    sent, world = await sent_with(provider(CredentialKind.CARACAL_MANDATE, scheme="Bearer"), None)
    scheme, _, token = sent.one("authorization").partition(" ")
    mandate = verified(token, world)
    assert scheme == "Bearer"
    assert mandate.resources == (ORDERS,)
    assert mandate.session_id == world.session.id
    assert mandate.delegation_path == (world.delegation.id,)
    assert mandate.id != world.decisions[0].mandate
    assert mandate.expires_at <= world.mandate().expires_at


async def test_an_upstream_of_ours_gets_no_more_than_what_holders_left():
    parent, child = HolderKey.generate(), HolderKey.generate()
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        world.provide(provider(CredentialKind.CARACAL_MANDATE, scheme="Bearer"), None)
        root = world.mandate(bound=Bound(parent.holder, 1))
        narrow = {
            "scopes": ScopeSet.of("read"),
            "resources": (ORDERS,),
            "issued_at": root.issued_at,
            "expires_at": root.issued_at + timedelta(seconds=100),
        }
        handed = Link("a1", bound=Bound(child.holder, 0), **narrow)
        parts = [world.zone.token(root).encode()]
        for link, key in ((handed, parent), (Link("a2", **narrow), child)):
            parts.append(sign_link(parts[-1], link, key))
        answer = await world.call(headers=world.headers(b"~".join(parts).decode()))
        assert answer.status == 200, answer.body
        decision, _ = world.pair()
        sent = verified(Sent(seen[0]).one("authorization").partition(" ")[2], world)
    assert len(root.scopes) > 1
    assert (sent.scopes, sent.resources) == (narrow["scopes"], narrow["resources"])
    assert sent.expires_at == narrow["expires_at"] < root.expires_at
    assert (sent.session_path, sent.root_record) == (root.session_path, root.root_record)
    assert sent.hops == root.hop_count + 1
    assert [origin.thumbprint for origin in sent.origins] == list(decision.holders)
    assert [origin.id for origin in sent.origins] == list(decision.narrowed)


async def test_the_identity_behind_a_call_can_go_upstream_beside_a_credential():
    for kind, credential in (
        (CredentialKind.BEARER_TOKEN, CREDENTIAL),
        (CredentialKind.NONE, None),
    ):
        sent, world = await sent_with(
            provider(kind, scheme="Bearer", forward_identity=True),
            credential,
            x_caracal_identity="forged",
        )
        assert verified(sent.one("x-caracal-identity"), world).session_id == world.session.id
        assert sent.all("authorization") == ([f"Bearer {CREDENTIAL}"] if credential else [])


def test_an_empty_credential_is_none():
    for kind in CredentialKind:
        placed = place(provider(kind), None, mandate="", query=b"")
        assert isinstance(placed, Placement) is (kind is CredentialKind.NONE)


def test_what_is_placed_shows_nothing_of_itself():
    placement = Placement(((b"authorization", b"Bearer s3cret"),), frozenset(), b"key=s3cret")
    assert "s3cret" not in f"{placement!r} {placement}"


async def test_headers_that_steer_or_impersonate_do_not_go_upstream():
    sent, _ = await sent_with(
        None,
        connection="close, x-hop",
        x_hop="1",
        te="trailers",
        upgrade="websocket",
        expect="100-continue",
        proxy_authorization="Basic x",
        forwarded="for=1.2.3.4",
        x_real_ip="1.2.3.4",
        x_forwarded_port="1",
        x_caracal_anything="1",
        baggage="caracal.session=1,other=2",
        accept="text/plain",
        cookie="a=b",
    )
    names = sorted(key.lower() for key, _ in sent.fields)
    assert names == [
        "accept",
        "baggage",
        "cookie",
        "host",
        "traceparent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    ]
    assert sent.one("baggage") == "other=2"
    assert sent.one("x-request-id") == "request-1"
    assert sent.one("x-forwarded-host") == "gateway.example"


async def test_the_upstream_is_told_who_called_and_not_who_claims_to_have():
    sent, _ = await sent_with(None, x_forwarded_for="203.0.113.9", x_forwarded_proto="https")
    assert sent.one("x-forwarded-for") == "192.0.2.7"
    assert sent.one("x-forwarded-proto") == "http"


@pytest.mark.parametrize(
    ("claimed", "scheme", "told"),
    [
        ("203.0.113.9, 10.0.0.1", "https", ("203.0.113.9", "https")),
        ("unknown, 2001:DB8::1", "http", ("2001:db8::1", "http")),
        ("nonsense", "ftp", ("192.0.2.7", "http")),
        ("", "", ("192.0.2.7", "http")),
    ],
)
async def test_behind_a_proxy_that_is_trusted_the_upstream_is_told_what_it_says(
    claimed, scheme, told
):
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b"")), settings={"trust_forwarded": True}) as world:
        answer = await world.call(x_forwarded_for=claimed, x_forwarded_proto=scheme)
        assert answer.status == 200
    sent = Sent(seen[0])
    assert (sent.one("x-forwarded-for"), sent.one("x-forwarded-proto")) == told


async def test_a_peer_without_an_address_is_unknown():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        assert (await world.call(scope={"client": None})).status == 200
    assert Sent(seen[0]).one("x-forwarded-for") == "unknown"


async def test_a_trace_goes_on_and_one_is_begun_where_there_is_none():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent, _ = await sent_with(None, traceparent=trace, tracestate="a=b")
    assert (sent.one("traceparent"), sent.one("tracestate")) == (trace, "a=b")
    sent, _ = await sent_with(None, traceparent="nonsense", tracestate="a=b")
    assert len(sent.one("traceparent")) == len(trace)
    assert sent.all("tracestate") == []


async def test_what_the_upstream_says_of_itself_or_past_the_gateway_does_not_come_back():
    response = ok(
        b"hello",
        "Server: nginx",
        "X-Powered-By: PHP",
        "Connection: keep-alive, X-Hop",
        "X-Hop: 1",
        "Keep-Alive: timeout=5",
        "X-Caracal-Identity: x",
        "Caracal-Receipt: theirs",
        "X-Request-Id: theirs",
        "Refresh: 0; url=http://evil.example",
        "Location: http://evil.example/",
        "Content-Location: /relative",
        "Date: Tue, 01 Jan 2030 00:00:00 GMT",
        "Set-Cookie: a=b",
        "Set-Cookie: c=d",
    )
    async with gateway(answering(response)) as world:
        answer = await world.call()
    assert sorted(name for name, _ in answer.headers) == [
        b"caracal-receipt",
        b"content-length",
        b"content-location",
        b"set-cookie",
        b"set-cookie",
        b"x-caracal-token-expires-in",
        b"x-request-id",
    ]
    assert answer.header("x-request-id") == "request-1"
    assert answer.header("caracal-receipt") == "zone-1.0.code"
