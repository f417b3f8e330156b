"""Both adapters, spoken to in their own protocols: what reaches the application, and what is answered."""

import io
import json
from dataclasses import dataclass, field
from wsgiref.util import setup_testing_defaults

import httpx
import pytest

from caracal.verify import MemoryRevocations
from caracal.verify.asgi import CaracalMiddleware
from caracal.verify.wsgi import CaracalMiddleware as WsgiMiddleware
from tests.tokens.mandate_examples import LIFETIME
from tests.verify.examples import ISSUER, ORDERS, Server, token, ulid

URL = "https://orders.example/api"
WELL_KNOWN = "/.well-known/oauth-protected-resource/api"
SETTINGS = {
    "routes": {"/admin": {"scopes": ["orders:admin"]}, "/handed": {"max_hops": 1}},
    "public": ["/health"],
    "resource_url": URL,
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return json.loads(self.body)["error"]

    @property
    def challenge(self) -> str | None:
        return self.headers.get("www-authenticate")


@dataclass
class Door:
    """An application behind the middleware, asked over ASGI or WSGI."""

    kind: str
    server: Server = field(default_factory=Server)
    reached: list = field(default_factory=list)

    def open(self, **settings):
        given = {"scopes": ["orders:read"], "revocations": MemoryRevocations()}
        if self.kind == "asgi":
            verifier = self.server.async_verifier(**given)
            self.app = CaracalMiddleware(self.application, verifier=verifier, **settings)
        else:
            verifier = self.server.verifier(**given)
            self.app = WsgiMiddleware(self.wsgi_application, verifier=verifier, **settings)
        self.revocations = given["revocations"]
        return self

    async def application(self, scope, receive, send):
        self.reached.append(scope["state"]["caracal"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the application"})

    def wsgi_application(self, environ, start_response):
        self.reached.append(environ["caracal.principal"])
        start_response("200 OK", [])
        return [b"the application"]

    async def ask(self, path="/orders", authorization=(), method="GET") -> Answer:
        if isinstance(authorization, str):
            authorization = (authorization,)
        headers = [("authorization", value) for value in authorization]
        if self.kind == "asgi":
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://any") as http:
                answer = await http.request(method, path, headers=headers)
            return Answer(answer.status_code, dict(answer.headers), answer.content)
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO()}
        if authorization:
            environ["HTTP_AUTHORIZATION"] = ",".join(authorization)
        setup_testing_defaults(environ)
        started = []
        body = b"".join(
            self.app(environ, lambda status, headers: started.append((status, headers)))
        )
        [(status, answered)] = started
        return Answer(int(status[:3]), dict(answered), body)


@pytest.fixture(params=["asgi", "wsgi"])
def door(request) -> Door:
    return Door(request.param).open(**SETTINGS)


async def test_a_mandate_opens_and_the_application_knows_whose_it_is(door):
    answer = await door.ask(authorization=f"Bearer {token(2)}")
    assert (answer.status, answer.body) == (200, b"the application")
    [principal] = door.reached
    assert principal.application_id == ulid(302)


async def test_without_a_mandate_the_way_to_one_is_told_and_no_error(door):
    answer = await door.ask()
    assert (answer.status, answer.error) == (401, "missing_token")
    assert answer.challenge == (
        f'Bearer scope="orders:read", resource_metadata="https://orders.example{WELL_KNOWN}"'
    )
    assert answer.headers["cache-control"] == "no-store"
    assert not door.reached


async def test_each_refusal_has_its_status_its_code_and_its_challenge(door):
    expired = token(expires_at=door.server.clocks.now + LIFETIME / 2)
    door.server.clocks.move(LIFETIME.seconds / 2 + 5)
    answers = [
        await door.ask(authorization=f"Bearer {raw}")
        for raw in (expired, token(audience=("resource://mail",)), token()[:-1], "x")
    ]
    for answer in answers:
        assert (answer.status, answer.error) == (401, "invalid_token")
        assert answer.challenge.startswith('Bearer error="invalid_token", error_description="')
        assert 'resource_metadata="https://' in answer.challenge
        assert json.loads(answer.body)["hint"]
    assert json.loads(answers[0].body)["reason"] == "mandate_expired"
    assert not door.reached


async def test_a_revoked_mandate_is_refused(door):
    door.revocations.revoke(ulid(200), door.server.clocks.now)
    answer = await door.ask(authorization=f"Bearer {token()}")
    assert (answer.status, answer.error) == (401, "session_revoked")


async def test_a_route_asks_more_and_says_what(door):
    answer = await door.ask("/admin/users", f"Bearer {token()}")
    assert (answer.status, answer.error) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.challenge
    assert 'scope="orders:admin orders:read"' in answer.challenge
    assert (await door.ask("/handed", f"Bearer {token(2)}")).error == "hop_count_exceeded"
    assert (await door.ask("/handed", f"Bearer {token(1)}")).status == 200


async def test_two_authorization_headers_are_refused_even_when_both_are_right(door):
    right = f"Bearer {token()}"
    answer = await door.ask(authorization=(right, right))
    assert (answer.status, answer.error) == (400, "invalid_request")
    assert not door.reached


async def test_a_public_path_needs_nothing_and_believes_nobody(door):
    assert (await door.ask("/health/live", f"Bearer {token()}")).status == 200
    assert door.reached == [None]


@pytest.mark.parametrize(
    "path", ["/health/%2e%2e/admin", "/health%2f..%2fadmin", "//health", "/a;b"]
)
async def test_nobody_sneaks_by_the_table_with_an_odd_path(path):
    for kind in ("asgi", "wsgi"):
        door = Door(kind).open(**SETTINGS)
        if kind == "wsgi":
            path = path.replace("%2e", ".").replace("%2f", "/")
        if path == "//health" and kind == "asgi":
            path = "/health//x"  # the client would take // for a host
        answer = await door.ask(path, f"Bearer {token()}")
        assert (answer.status, answer.error) == (400, "invalid_request")
        assert not door.reached


async def test_when_the_keys_can_not_be_had_the_answer_is_503_without_a_challenge(door):
    door.server.issuer.answer = httpx.ConnectError("down")
    answer = await door.ask(authorization=f"Bearer {token()}")
    assert (answer.status, answer.error, answer.challenge) == (503, "keys_unavailable", None)
    assert answer.headers["retry-after"] == "1"


async def test_the_metadata_tells_where_mandates_come_from(door):
    answer = await door.ask(WELL_KNOWN)
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "resource": URL,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["orders:admin", "orders:read"],
    }
    assert (await door.ask(WELL_KNOWN, method="HEAD")).body == b""
    assert (await door.ask(WELL_KNOWN, method="POST")).status == 405
    assert not door.reached


async def test_without_an_address_there_is_no_metadata_and_nothing_points_at_it(door):
    door.open(public=["/health"])
    assert (await door.ask(WELL_KNOWN)).status == 401
    assert (await door.ask()).challenge == 'Bearer scope="orders:read"'


async def test_an_audience_that_is_an_address_is_the_resource_of_the_metadata():
    door = Door("asgi")
    verifier = door.server.async_verifier(audience="https://orders.example")
    door.app = CaracalMiddleware(door.application, verifier=verifier)
    answer = await door.ask("/.well-known/oauth-protected-resource")
    assert json.loads(answer.body)["resource"] == "https://orders.example"
    assert "scopes_supported" not in json.loads(answer.body)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"routes": {"/a": {"scope": ["x"]}}}, TypeError),
        ({"routes": {"/a": {"audience": "x"}}}, TypeError),
        ({"routes": {"/a": {"uses": ["session"]}}}, ValueError),
        ({"routes": {"a": {}}}, ValueError),
        ({"public": "/health"}, TypeError),
        ({"resource_url": "http://orders.example"}, ValueError),
        ({"resource_url": 'https://orders.example/"x'}, ValueError),
        ({"exclude": ["/a"]}, TypeError),
    ],
)
def test_a_wrong_setting_is_told_at_construction(kind, wrong, error):
    with pytest.raises(error):
        Door(kind).open(**wrong)


def _websocket(path="/orders", authorization=None, extensions=None):
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "headers": headers,
        "extensions": extensions,
    }


async def _opened(door, scope) -> list[dict]:
    sent: list[dict] = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    await door.app(scope, receive, send)
    return sent


async def test_a_websocket_is_verified_before_it_is_accepted():
    door = Door("asgi").open(**SETTINGS)
    assert await _opened(door, _websocket()) == [
        {"type": "websocket.close", "code": 1008, "reason": ""}
    ]
    start, body = await _opened(door, _websocket(extensions={"websocket.http.response": {}}))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert dict(start["headers"])[b"www-authenticate"].startswith(b"Bearer ")
    assert json.loads(body["body"])["error"] == "missing_token"
    assert not door.reached
    await _opened(door, _websocket(authorization=f"Bearer {token()}"))
    [principal] = door.reached
    assert principal.targets == (ORDERS,)


async def test_a_state_that_a_caller_could_not_have_set_is_replaced_not_kept():
    door = Door("asgi").open(**SETTINGS)
    scope = _websocket("/health") | {"state": {"caracal": "forged", "own": 1}}
    await _opened(door, scope)
    assert door.reached == [None]
    assert scope["state"] == {"caracal": "forged", "own": 1}


async def test_the_lifespan_of_an_application_passes():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["type"])

    app = CaracalMiddleware(application, verifier=Server().async_verifier())
    await app({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


async def test_a_mounted_application_is_routed_below_its_root():
    door = Door("asgi").open(**SETTINGS)
    for path, status in (("/v1/health", 200), ("/health", 200), ("/v1/admin", 1008)):
        sent = await _opened(door, _websocket(path) | {"root_path": "/v1"})
        assert sent[0].get("status", sent[0].get("code")) == status
