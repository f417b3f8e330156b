"""Who may use the admin API, and what is recorded of them."""

import asyncio
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request

from caracal.authority.events import Kind
from caracal.authority.outcomes import Reason
from caracal.tokens.secret import Secret
from caracal_server.adapters.clock import SystemClock
from caracal_server.control.acts import Act
from caracal_server.control.settings import ControlSettings
from caracal_server.control.token_file import write_token_file
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import OperatorIdentity
from tests.control.wiring import build_control_service
from tests.control.world import FINGERPRINT_KEY, PEPPER, document, opened


async def _make(world, name, *scopes, token=None, **more):
    body = {"name": name, "scopes": list(scopes), **more}
    return await world.ask("POST", "/v1/operators", body, token=token)


async def test_the_first_token_is_written_once_and_for_its_owner_only(tmp_path):
    file = tmp_path / "operator-token"
    async with opened(tmp_path) as world:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert world.token.startswith("ct_")
        assert len(world.token) == 46
        (token,) = world.control.operators.list()
        assert token.scopes == frozenset(OperatorScope)
        (entry,) = await world.entries()
        assert (entry.kind, entry.target) == (Kind.OPERATOR_TOKEN, token.id)
        assert world.token.encode() not in world.stored_bytes()
    file.unlink()
    async with opened(tmp_path) as world:
        assert not file.exists()
        assert world.control.operators.list() == (token,)


def test_a_token_file_replaces_a_link_and_does_not_follow_it(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched", encoding="ascii")
    elsewhere.chmod(0o644)
    for name in ("token", "token.partial"):
        (tmp_path / name).symlink_to(elsewhere)
    write_token_file(tmp_path / "token", Secret("ct_planted"))
    assert elsewhere.read_text(encoding="ascii") == "untouched"
    assert stat.S_IMODE((tmp_path / "token").lstat().st_mode) == 0o600
    assert not (tmp_path / "token").is_symlink()


ROUTES = [
    ("GET", "/v1/zones/shop/policy-versions/digest", OperatorScope.READ),
    ("GET", "/v1/status", OperatorScope.READ),
    ("GET", "/v1/zones", OperatorScope.READ),
    ("GET", "/v1/zones/shop", OperatorScope.READ),
    ("GET", "/v1/zones/shop/policy-versions", OperatorScope.READ),
    ("PUT", "/v1/zones/shop?plan=true", OperatorScope.READ),
    ("PUT", "/v1/zones/shop", OperatorScope.WRITE),
    ("POST", "/v1/zones/shop/keys/rotate", OperatorScope.WRITE),
    ("POST", "/v1/zones/shop/applications/orders-agent/secret", OperatorScope.WRITE),
    ("GET", "/v1/operators", OperatorScope.READ),
    ("POST", "/v1/operators", OperatorScope.WRITE),
    ("DELETE", "/v1/operators/some", OperatorScope.WRITE),
]


async def test_every_route_wants_a_token_with_its_scope(world):
    await world.applied(document())
    others = {}
    for scope in (OperatorScope.READ, OperatorScope.WRITE):
        rest = [other for other in OperatorScope if other is not scope]
        others[scope] = (await _make(world, f"without-{scope}", *rest)).json()["token"]
    covered = {(method, path.partition("?")[0]) for method, path, _ in ROUTES}
    served = {
        (
            route.method,
            route.path.format(
                zone="shop", token="some", application="orders-agent", digest="digest"
            ),
        )
        for route in world.control.routes()
    }
    assert covered == served
    for method, path, scope in ROUTES:
        body = document() if method == "PUT" else None
        without = await world.client.request(method, path)
        assert (without.status_code, without.json()["reason"]) == (401, "operator_unknown")
        assert without.headers["www-authenticate"].startswith("Bearer")
        wrong = await world.ask(method, path, body, token=world.token[:-1] + "?")
        assert wrong.status_code == 401
        lacking = await world.ask(method, path, body, token=others[scope])
        assert (lacking.status_code, lacking.json()["reason"]) == (403, "operator_scope_missing")
        assert scope in lacking.json()["detail"]


async def test_what_an_operator_is_refused_is_recorded_where_it_belongs(world):
    zone_id = (await world.applied(document()))["zone"]["id"]
    reader = (await _make(world, "reader", "read")).json()
    for path in ("/v1/zones/shop", "/v1/zones/unknown"):
        await world.ask("PUT", path, document(), token=reader["token"])
    entry = (await world.entries(zone_id))[-1]
    assert (entry.kind, entry.reason) == (Kind.ADMIN_REFUSED, Reason.OPERATOR_SCOPE_MISSING)
    assert (entry.actor, entry.target) == (f"reader ({reader['id']})", "shop")
    await world.ask("DELETE", "/v1/operators/none", token=reader["token"])
    assert (await world.entries())[-1].kind is Kind.ADMIN_REFUSED
    await world.ask("PUT", "/v1/zones/shop", document(zone="other"))
    entry = (await world.entries(zone_id))[-1]
    assert (entry.reason, entry.detail) == (
        Reason.ZONE_FILE_INVALID,
        "zone: is 'other', but the request names 'shop'",
    )


@pytest.mark.parametrize(
    "secret",
    [
        {"providers": [{"name": "orders", "kind": "bearer_token", "secret": "a guess of the key"}]},
        {
            "applications": [{"name": "orders-agent", "secret": "a guess of the secret"}],
            "providers": None,
            "resources": None,
            "policy": None,
        },
    ],
    ids=["of a provider", "of an application"],
)
async def test_a_plan_tells_no_reader_whether_a_secret_is_the_right_one(world, secret):
    zone_id = (await world.applied(document()))["zone"]["id"]
    reader = (await _make(world, "reader", "read")).json()["token"]
    guess = ("PUT", "/v1/zones/shop?plan=true", document(**secret))
    refused = await world.ask(*guess, token=reader)
    assert (refused.status_code, refused.json()["reason"]) == (403, "operator_scope_missing")
    assert "write" in refused.json()["detail"]
    entry = (await world.entries(zone_id))[-1]
    assert (entry.kind, entry.reason) == (Kind.ADMIN_REFUSED, Reason.OPERATOR_SCOPE_MISSING)
    assert (await world.ask(*guess)).status_code == 200


async def test_a_plan_without_secrets_is_for_readers(world):
    await world.applied(document())
    reader = (await _make(world, "reader", "read")).json()["token"]
    body = document(providers=None, resources=None, policy=None)
    planned = await world.ask("PUT", "/v1/zones/shop?plan=true", body, token=reader)
    assert planned.status_code == 200
    assert planned.json()["changes"]


async def test_other_edges_ask_who_operates(world):
    reader = (await _make(world, "reader", "read")).json()

    def request(*values):
        headers = [(b"authorization", value.encode()) for value in values]
        return Request({"type": "http", "headers": headers})

    ask = world.control.authenticate
    found = await ask(request(f"Bearer {reader['token']}"), OperatorScope.READ)
    assert found == OperatorIdentity(reader["id"], "reader", frozenset({OperatorScope.READ}))
    for headers, scope, reason in (
        ([], OperatorScope.READ, Reason.OPERATOR_UNKNOWN),
        (["Basic abc"], OperatorScope.READ, Reason.OPERATOR_UNKNOWN),
        (["Bearer ct_other"], OperatorScope.READ, Reason.OPERATOR_UNKNOWN),
        (["Bearer a", "Bearer b"], OperatorScope.READ, Reason.HEADER_DUPLICATE),
        ([f"Bearer {reader['token']}"], OperatorScope.WRITE, Reason.OPERATOR_SCOPE_MISSING),
    ):
        assert (await ask(request(*headers), scope)).reason is reason


async def test_there_is_a_limit_to_tokens(world):
    settings = ControlSettings(pepper=PEPPER, fingerprint_key=FINGERPRINT_KEY, max_operators=1)
    full = build_control_service(world.ports, settings, version="1")
    await full.operators.load()
    (first,) = full.operators.list()
    refused = await full.operators.create(
        "second", [OperatorScope.READ], None, first, Act("first", "r-1")
    )
    assert "which is the limit" in refused.detail


async def test_nobody_makes_a_token_with_more_than_their_own(world):
    writer = (await _make(world, "writer", "write")).json()
    refused = await _make(world, "approver", "approve", token=writer["token"])
    assert (refused.status_code, refused.json()["reason"]) == (403, "operator_scope_missing")
    assert (await _make(world, "second", "write", token=writer["token"])).status_code == 201


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "a"}, "scopes"),
        ({"name": "a", "scopes": []}, "length"),
        ({"name": "a\n", "scopes": ["read"]}, "name"),
        ({"name": "first", "scopes": ["read"]}, "there is an operator first"),
        ({"name": "a", "scopes": ["admin"]}, "scopes[0]"),
        ({"name": "a", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "passed"),
        ({"name": "a", "scopes": ["read"], "expires": 1}, "expires"),
    ],
)
async def test_a_malformed_token_request_is_refused(world, body, says):
    answer = await world.ask("POST", "/v1/operators", body)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert len(world.control.operators.list()) == 1


async def test_a_revoked_token_is_refused_at_once(world):
    reader = (await _make(world, "reader", "read")).json()
    assert (await world.ask("GET", "/v1/zones", token=reader["token"])).status_code == 200
    revoked = await world.ask("DELETE", f"/v1/operators/{reader['id']}")
    assert (revoked.status_code, revoked.content) == (204, b"")
    assert (await world.ask("GET", "/v1/zones", token=reader["token"])).status_code == 401
    again = await world.ask("DELETE", f"/v1/operators/{reader['id']}")
    assert again.status_code == 404
    details = [entry.detail for entry in await world.entries()]
    assert details[-2:] == [
        "revoke the operator token reader",
        "there is no operator token of that id",
    ]


async def test_the_last_token_that_may_write_stays(world):
    (first,) = world.control.operators.list()
    await _make(world, "reader", "read")
    refused = await world.ask("DELETE", f"/v1/operators/{first.id}")
    assert refused.status_code == 400
    await _make(world, "second", "write")
    assert (await world.ask("DELETE", f"/v1/operators/{first.id}")).status_code == 204


async def test_of_two_tokens_of_one_name_one_is_made(world):
    answers = await asyncio.gather(*(_make(world, "same", "read") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]


async def test_no_token_without_evidence(world):
    world.log.failing = True
    assert (await _make(world, "reader", "read")).status_code == 503
    assert len(await world.ports.operators.tokens()) == 1


class Later(SystemClock):
    """The system's clock, a year ahead."""

    def now(self):
        return super().now() + timedelta(days=365)


async def test_an_expired_token_is_refused_and_the_last_writer_replaced(world):
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = (await _make(world, "short", "read", "write", expires_at=soon)).json()
    (first, _) = world.control.operators.list()
    await world.ask("DELETE", f"/v1/operators/{first.id}")
    assert (await world.ask("GET", "/v1/zones", token=made["token"])).status_code == 200
    settings = ControlSettings(pepper=PEPPER, fingerprint_key=FINGERPRINT_KEY)
    later = build_control_service(replace(world.ports, clock=Later()), settings, version="1")
    assert await later.start(world.folder / "new-token")
    refused = await later.operators.authenticate(made["token"], OperatorScope.READ)
    assert (refused.reason, refused.detail) == (
        Reason.OPERATOR_UNKNOWN,
        "the operator token has expired",
    )
    token = (world.folder / "new-token").read_text(encoding="ascii").strip()
    assert (await later.operators.authenticate(token, OperatorScope.APPROVE)).name == "first"


@pytest.mark.parametrize(
    "more",
    [{"pepper": "short"}, {"fingerprint_key": ""}, {"max_body_bytes": 1}, {"max_operators": 0}],
)
def test_settings_that_can_not_be_meant_fail_at_start(more):
    given = {"pepper": PEPPER, "fingerprint_key": FINGERPRINT_KEY} | {
        name: Secret(value) if isinstance(value, str) else value for name, value in more.items()
    }
    with pytest.raises(ValueError, match=next(iter(more))):
        ControlSettings(**given)
