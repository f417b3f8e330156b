"""T44: a stock MCP client's token, its proof or its discovery, used by somebody else or for something else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.responses import StreamingResponse

from caracal.tokens import base64url
from tests.support.deployment import TOKEN_EXCHANGE, deployed, reason
from tests.support.mcp_server import OFFERED, READ, TICKETS, call, mcp_server
from tests.support.running import running_caracal
from tests.support.stock import Stock, StockZone

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
STRANGER = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})


@pytest.fixture(scope="module")
def endless():
    """An MCP server whose answers have no end."""
    with mcp_server() as server:
        yield server


@pytest.fixture(scope="module")
def caracal(tmp_path_factory, upstream, endless):
    with mcp_server() as server:
        egress = f"{upstream.authority},{server.authority},{endless.authority}"
        environment = {"CARACAL_PRIVATE_EGRESS_HOSTS": egress, "CARACAL_MAX_CLIENT_FAILURES": "5"}
        data = tmp_path_factory.mktemp("t44") / "data"
        with (
            running_caracal(data, environment=environment) as running,
            deployed(running, upstream) as deployment,
        ):
            yield Stock(deployment, server.url)
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def zone(caracal) -> StockZone:
    server = {"kind": "mcp", "upstream": caracal.server, **OFFERED}
    public = KEY.as_dict(private=False)
    return caracal.zone(
        applications=[{"name": "agent"}, {"name": "signs", "keys": [public]}],
        resources=[
            {"identifier": TICKETS, "endpoint": "tickets", **server},
            {"identifier": "resource://other", "endpoint": "other", **server},
            {"identifier": "resource://closed", **server},
        ],
    )


def test_a_token_of_one_server_opens_no_other(zone):
    token = zone.access(scope=READ)
    other = zone.post(call("search", q="a"), token, zone.url.replace("tickets", "other"))
    assert (other.status_code, reason(other)) == (401, "mandate_audience")
    assert 'error="invalid_token"' in other.headers["www-authenticate"]
    assert "/mcp/" in other.headers["www-authenticate"]


def test_a_token_opens_nothing_in_another_zone(zone, caracal):
    elsewhere = caracal.zone()
    answer = zone.post(call("search", q="a"), zone.access(), elsewhere.url)
    assert reason(answer) == "mandate_audience"


@pytest.mark.parametrize("resource", [TICKETS, "resource://closed"])
def test_a_token_that_may_be_used_again_is_worth_nothing_where_use_is_single(zone, resource):
    gateway = zone.url.partition("/mcp/")[0] + "/"
    answer = zone.post(
        call("search", q="a"), zone.access(), gateway, **{"x-caracal-resource": resource}
    )
    assert (answer.status_code, reason(answer)) == (401, "mandate_class")


def test_a_token_steers_no_session_and_is_no_subject(zone):
    token = zone.access()
    control = zone.zone.deployment.running.control
    headers = {"authorization": f"Bearer {token}"}
    steered = zone.http.get(f"{control}/zones/{zone.zone.id}/agents", headers=headers)
    assert steered.status_code in (400, 401, 403, 404)
    exchanged = zone.zone.agent().token(
        grant_type=TOKEN_EXCHANGE,
        subject_token=token,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        resource=TICKETS,
    )
    assert reason(exchanged) == "mandate_class"


def test_mandates_for_one_call_are_not_taken_at_the_url(zone):
    mandate = zone.zone.agent().authority().mint(READ)
    answer = zone.post(call("search", q="a"), mandate)
    assert (answer.status_code, reason(answer)) == (401, "mandate_class")


def test_a_tool_beyond_the_scopes_of_the_token_is_not_called(zone):
    answer = zone.post(call("ticket_open"), zone.access(scope=READ))
    assert (answer.status_code, reason(answer)) == (403, "operation_scope_missing")


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "resource://tickets",
        "https://elsewhere.example/mcp",
        "{url}/",
        "{url}/../other",
        "{url}#x",
    ],
)
def test_a_token_for_anything_but_a_servers_own_url_is_refused(zone, resource):
    answer = zone.token(resource=resource.format(url=zone.url))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


def test_an_application_of_another_zone_gets_nothing_here(zone, caracal):
    stranger, secret = caracal.zone().zone.applications["agent"]
    answer = zone.token(client_id=stranger, client_secret=secret)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_guessing_is_held_off_and_the_right_secret_is_not(zone):
    assert [zone.token(client_secret="x" * 43).status_code for _ in range(8)].count(429) >= 2
    assert zone.token().status_code == 200


def test_other_grants_are_not_to_be_had(zone):
    for kind in ("password", "refresh_token", "implicit", TOKEN_EXCHANGE):
        assert zone.token(grant_type=kind).json()["error"] == "unsupported_grant_type"


def signed(zone, key=KEY, **changes):
    now = int(time.time())
    client = zone.ids()["signs"]
    good = {
        "iss": client,
        "sub": client,
        "aud": zone.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": f"jti-{time.monotonic_ns()}",
    }
    return jwt.encode({"alg": "ES256", "kid": "one"}, good | changes, key)


def present(zone, assertion):
    return zone.token(
        client_id=None,
        client_secret=None,
        client_assertion=assertion,
        client_assertion_type=ASSERTION,
    )


def test_an_assertion_works_once_however_often_it_comes_at_once(zone):
    assertion = signed(zone)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: present(zone, assertion), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    assert {reason(one) for one in answers if one.status_code == 401} == {
        "client_assertion_replayed"
    }


def test_the_same_jti_under_another_signature_is_the_same_assertion(zone):
    assert present(zone, signed(zone, jti="fixed")).status_code == 200
    again = present(zone, signed(zone, jti="fixed", exp=int(time.time()) + 90))
    assert reason(again) == "client_assertion_replayed"


def test_an_assertion_for_another_server_is_not_taken(zone):
    """A server that a client was led to can not use what it was sent here."""
    for audience in (f"{zone.issuer}/token", "https://evil.example", [zone.issuer, "https://evil"]):
        answer = present(zone, signed(zone, aud=audience))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_strangers_do_not_sign_for_an_application(zone):
    assert present(zone, signed(zone, STRANGER)).status_code == 401
    agent = zone.zone.applications["agent"][0]
    assert present(zone, signed(zone, iss=agent, sub=agent)).status_code == 401
    head = base64url.encode(b'{"alg":"none"}').decode()
    body = signed(zone).split(".")[1]
    assert present(zone, f"{head}.{body}.").status_code == 401


def test_an_assertion_that_outlives_five_minutes_is_not_taken(zone):
    answer = present(zone, signed(zone, exp=int(time.time()) + 3600))
    assert reason(answer) == "client_assertion_invalid"


def test_refusals_do_not_tell_which_applications_sign(zone):
    answers = [present(zone, signed(zone, iss=name, sub=name)) for name in ("nobody", "agent")]
    answers.append(present(zone, signed(zone, STRANGER)))
    said = {json.dumps({**one.json(), "requestId": ""}, sort_keys=True) for one in answers}
    assert len(said) == 1


async def events() -> AsyncIterator[bytes]:
    while True:
        yield b": more\n\n"
        await asyncio.sleep(0.01)


def read_until(chunks: Iterator[bytes], deadline: float) -> None:
    for _ in chunks:
        assert time.monotonic() < deadline, "the stream goes on"


@pytest.mark.parametrize("how", ["the session is killed", "the application is disabled"])
def test_a_stream_that_a_token_opened_ends_with_what_it_rests_on(caracal, endless, how):
    endless.misbehaves = StreamingResponse(events(), media_type="text/event-stream")
    offered = {"kind": "mcp", "upstream": endless.url, **OFFERED}
    zone = caracal.zone(resources=[{"identifier": TICKETS, "endpoint": "tickets", **offered}])
    headers = {
        "accept": "application/json, text/event-stream",
        "authorization": f"Bearer {zone.access()}",
    }
    message, deadline = call("search", q="a"), time.monotonic() + 10
    with zone.http.stream("POST", zone.url, json=message, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        chunks = answer.iter_raw()
        assert next(chunks)
        assert "authorization" not in endless.received[-1][1]
        if how == "the session is killed":
            zone.zone.kill(zone.zone.entry(answer.headers["x-request-id"], "call")["session"])
        else:
            zone.zone.apply(applications=[{"name": "agent", "enabled": False}])
        with pytest.raises(httpx.RemoteProtocolError):
            read_until(chunks, deadline)
