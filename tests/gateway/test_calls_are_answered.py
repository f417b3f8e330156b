"""What the Gateway answers, and what it records: one table of requests."""

from datetime import timedelta

import pytest

from caracal.authority.events import Verdict
from caracal.authority.mandates import MandateClass
from caracal.authority.scopes import NO_SCOPES, ScopeSet
from caracal.authority.zones import Application
from tests.adapters_http.raw_upstream import Speaks, answering, forever, ok
from tests.gateway.world import World, gateway, remembering
from tests.support.zone import ALPHA, MAIL, ORDERS, OTHER_ZONE, ZONE, record, resource

HELLO = forever(ok(b"hello", "Content-Type: text/plain", "ETag: x"))


async def test_an_allowed_call_passes_and_its_decision_and_result_are_on_record():
    async with gateway(HELLO) as world:
        world.zone.clock.move(milliseconds=10)
        answer = await world.call()
        assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
        assert answer.header("x-request-id") == "request-1"
        assert answer.header("etag") == "x"
        assert 290 <= int(answer.header("x-caracal-token-expires-in")) <= 300
        decision, result = world.pair()
        assert decision.verdict is Verdict.ALLOW
        assert decision in world.log.waited, "the call went out before its decision was durable"
        assert (decision.zone, decision.application, decision.application_name) == (
            ZONE,
            ALPHA,
            "Alpha",
        )
        assert (decision.operation, decision.scopes, decision.resource) == (
            "GET /items/7",
            "read",
            ORDERS,
        )
        assert decision.policy == world.zone.policy_digest
        assert decision.policies == ("alpha-works",)
        assert decision.session == world.session.id
        assert decision.delegations == (world.delegation.id,)
        assert (result.status, result.received_bytes, result.sent_bytes) == (200, 5, 0)
        assert (result.reason, result.verdict) == ("", Verdict.NONE)
        assert world.count("passed") == 1


# What stands in the request: (method, target, changes to the mandate, changes to the headers),
# then the answer: status, code, reason; then whether the refusal names a proven application.
REFUSALS = {
    "no authorization": (
        ("GET", "/items/7", None, {"authorization": ""}),
        (401, "invalid_token", "mandate_missing"),
        None,
    ),
    "another scheme": (
        ("GET", "/items/7", None, {"authorization": "Basic YTpi"}),
        (401, "invalid_token", "mandate_missing"),
        None,
    ),
    "an empty bearer": (
        ("GET", "/items/7", None, {"authorization": "Bearer "}),
        (401, "invalid_token", "mandate_missing"),
        None,
    ),
    "a bearer that is no token": (
        ("GET", "/items/7", None, {"authorization": "Bearer abc"}),
        (401, "invalid_token", "mandate_malformed"),
        None,
    ),
    "a bearer that is too large": (
        ("GET", "/items/7", None, {"authorization": f"Bearer {'a' * 8193}"}),
        (401, "invalid_token", "mandate_too_large"),
        None,
    ),
    "a client that names itself": (
        ("GET", "/items/7", {}, {"x_caracal_client_id": ALPHA}),
        (400, "invalid_token", "routing_forbidden_header"),
        False,
    ),
    "no resource": (
        ("GET", "/items/7", {}, {"x_caracal_resource": ""}),
        (400, "invalid_token", "routing_missing"),
        False,
    ),
    "a blank resource": (
        ("GET", "/items/7", {}, {"x_caracal_resource": "  "}),
        (400, "invalid_token", "routing_missing"),
        False,
    ),
    "a way up": (
        ("GET", "/items/../admin", {}, {}),
        (400, "invalid_token", "path_unsafe"),
        False,
    ),
    "an encoded slash": (
        ("GET", "/items/a%2fb", {}, {}),
        (400, "invalid_token", "path_unsafe"),
        False,
    ),
    "a twice encoded way up": (
        ("GET", "/items/%252e%252e/x", {}, {}),
        (400, "invalid_token", "path_unsafe"),
        False,
    ),
    "a mandate of another class": (
        ("GET", "/items/7", {"mandate_class": MandateClass.SESSION}, {}),
        (401, "invalid_token", "mandate_class"),
        False,
    ),
    "a resource mandate": (
        ("GET", "/items/7", {"mandate_class": MandateClass.RESOURCE}, {}),
        (401, "invalid_token", "mandate_class"),
        False,
    ),
    "a mandate for another audience": (
        ("GET", "/items/7", {"audience": (ORDERS,)}, {}),
        (401, "invalid_token", "mandate_audience"),
        False,
    ),
    "a mandate of another issuer": (
        ("GET", "/items/7", {"issuer": "https://evil.example"}, {}),
        (401, "invalid_token", "mandate_issuer"),
        False,
    ),
    "a resource the zone has not": (
        ("GET", "/items/7", {}, {"x_caracal_resource": "https://none.example"}),
        (403, "access_denied", "resource_unknown"),
        True,
    ),
    "a resource the mandate is not for": (
        ("GET", "/items/7", {}, {"x_caracal_resource": MAIL}),
        (403, "access_denied", "target_mismatch"),
        True,
    ),
    "an undeclared operation": (
        ("PATCH", "/items/7", {}, {}),
        (403, "operation_not_permitted", "operation_undeclared"),
        True,
    ),
    "a missing scope": (
        ("POST", "/items", {"scopes": ScopeSet.of("read")}, {}),
        (403, "operation_not_permitted", "operation_scope_missing"),
        True,
    ),
    "no scope at all": (
        ("GET", "/items/7", {"scopes": NO_SCOPES}, {}),
        (403, "operation_not_permitted", "operation_scope_missing"),
        True,
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_call_reaches_no_upstream_and_says_why(case):
    (method, target, mandate, headers), error, proven = REFUSALS[case]
    async with gateway(HELLO) as world:
        if mandate:
            headers = headers | {"authorization": f"Bearer {world.token(**mandate)}"}
        answer = await world.call(method, target, **headers)
        assert answer.error == error
        assert world.upstream.connections == 0
        assert world.results == []
        assert world.count(error[2]) == 1
        if proven is None:
            assert world.log.entries == [], "there is no zone whose log could hold it"
            return
        [decision] = world.decisions
        assert (decision.verdict, decision.reason) == (Verdict.REFUSE, error[2])
        assert decision.request == "request-1"
        assert decision.application == (ALPHA if proven else "")
        assert (decision in world.log.waited) is proven


async def test_a_refusal_by_policy_names_the_policy_and_its_version():
    async with gateway(HELLO) as world:
        answer = await world.call("DELETE", "/items/7", authorization=_deleting(world))
        assert answer.error == (403, "access_denied", "policy_forbid")
        assert "never-delete" in answer.json["error_description"]
        [decision] = world.decisions
        assert decision.policy == world.zone.policy_digest
        assert decision.policies == ("never-delete",)
        assert decision.application_name == "Alpha"


async def test_a_policy_that_can_not_be_evaluated_refuses_and_is_recorded_with_its_version():
    async with gateway(HELLO) as world:
        answer = await world.call("GET", "/items/error1")
        assert answer.error == (403, "policy_eval_failed", "policy_error")
        [decision] = world.decisions
        assert (decision.policy, decision.policies) == (world.zone.policy_digest, ("overflows",))


async def test_a_zone_without_policy_refuses_and_no_version_is_recorded():
    async with gateway(HELLO) as world:
        world.zone.install(record(policy=None))
        answer = await world.call()
        assert answer.error == (403, "access_denied", "policy_none_active")
        assert world.decisions[0].policy == ""


def _deleting(world: World) -> str:
    return f"Bearer {world.token(scopes=ScopeSet.of('delete'))}"


@pytest.mark.parametrize("seconds", [0, 34])
async def test_a_mandate_without_enough_life_left_is_refused_and_not_spent(seconds):
    async with gateway(HELLO) as world:
        token = world.token()
        world.zone.clock.move(minutes=5)
        world.zone.clock.move(seconds=-seconds)
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error == (401, "credential_expired_not_renewable", "mandate_expiring")
        [decision] = world.decisions
        assert decision.application == ALPHA
        assert decision not in world.log.waited
        world.zone.clock.move(minutes=-2)
        assert (await world.call(authorization=f"Bearer {token}")).status == 200


async def test_an_expired_mandate_is_refused():
    async with gateway(HELLO) as world:
        token = world.token()
        world.zone.clock.move(minutes=10)
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error == (401, "invalid_token", "mandate_expired")


async def test_a_mandate_that_is_used_again_is_refused():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        headers = world.headers()
        assert (await world.call(headers=headers)).status == 200
        answer = await world.call(headers=headers)
        assert answer.error == (401, "invalid_token", "mandate_replayed")
        assert len(seen) == 1
        assert [entry.reason for entry in world.decisions] == ["", "mandate_replayed"]
        assert len(world.results) == 1


async def test_a_mandate_older_than_the_memory_of_used_ones_is_refused():
    async with gateway(HELLO) as world:
        before = world.zone.clock.now().replace(microsecond=0) - timedelta(minutes=1)
        token = world.token(id="untimed-id", issued_at=before)
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error == (401, "invalid_token", "mandate_predates_start")


async def test_a_mandate_of_an_ended_session_is_refused():
    async with gateway(HELLO) as world:
        token = world.token()
        world.zone.end(world.session)
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error == (401, "invalid_token", "mandate_revoked")
        [decision] = world.decisions
        assert decision in world.log.waited
        assert "killed" in decision.detail


async def test_a_mandate_that_names_no_session_is_refused():
    async with gateway(HELLO) as world:
        token = world.token(session_path=(), delegation_path=(), chain=())
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error[2] == "session_not_live"


async def test_a_session_whose_time_is_up_is_refused_before_anybody_swept_it():
    async with gateway(HELLO) as world:
        world.zone.clock.move(minutes=59, seconds=30)
        token = world.token()
        world.zone.clock.move(seconds=31)
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error[2] == "session_not_live"


async def test_an_application_that_was_switched_off_is_refused():
    async with gateway(HELLO) as world:
        world.zone.install(record(applications=(Application(ALPHA, "Alpha", enabled=False),)))
        assert (await world.call()).error[2] == "client_unknown"
        world.zone.install(record(applications=()))
        assert (await world.call()).error[2] == "client_unknown"
        assert [entry.application_name for entry in world.decisions] == ["Alpha", ""]


async def test_a_mandate_of_a_zone_that_is_not_here_leaves_no_entry():
    async with gateway(HELLO) as world:
        token = world.token(zone_id="zone-none")
        answer = await world.call(authorization=f"Bearer {token}")
        assert answer.error == (401, "invalid_token", "mandate_zone")
        assert world.log.entries == []


async def test_a_zone_without_keys_verifies_nothing():
    async with gateway(HELLO) as world:
        del world.zone.keys.keys[OTHER_ZONE]
        token = world.token(zone_id=OTHER_ZONE)
        assert (await world.call(authorization=f"Bearer {token}")).error[2] == "mandate_zone"


async def test_a_zone_whose_revocations_are_not_known_is_answered_503():
    async with gateway(HELLO) as world:
        world.zone.graphs._graphs.clear()
        answer = await world.call()
        assert answer.error == (503, "sts_unavailable", "revocations_stale")
        assert answer.header("retry-after") == "1"
        assert world.log.entries == []


async def test_where_operations_do_not_bind_any_request_passes_within_its_scopes():
    async with gateway(HELLO) as world:
        world.without_operations()
        assert (await world.call("PROPFIND", "/anything/else")).status == 200
        decision, _ = world.pair()
        assert (decision.operation, decision.scopes) == ("PROPFIND /anything/else", "read write")


async def test_a_resource_may_be_named_by_its_row_and_is_recorded_by_its_identifier():
    async with gateway(HELLO) as world:
        answer = await world.call(x_caracal_resource="row-of-orders.example")
        assert answer.status == 200
        assert world.decisions[0].resource == ORDERS


async def test_what_a_caller_makes_long_is_cut_in_the_record():
    async with gateway(HELLO) as world:
        answer = await world.call("GET", f"/{'a' * 5000}", x_caracal_resource="x" * 2000)
        assert answer.error[2] == "resource_unknown"
        [decision] = world.decisions
        assert len(decision.resource) == 512
        assert len(decision.operation) == len(decision.detail) == 1024


async def test_the_gateways_own_paths_are_its_own_unless_a_resource_is_named():
    async with gateway(HELLO) as world:
        for path in ("/health", "/ready", "/metrics"):
            answer = await world.call("GET", path, headers=[(b"host", b"x")])
            assert answer.body == b"the gateway itself"
            assert (await world.call("GET", path)).error[2] == "operation_undeclared"


async def test_only_http_is_served():
    async with gateway(HELLO) as world:
        await world.app({"type": "lifespan"}, None, None)


async def test_a_request_id_that_can_not_be_told_from_noise_is_replaced():
    async with gateway(HELLO) as world:
        for given in ("", "a b", "x" * 129):
            answer = await world.call(x_request_id=given)
            fresh = answer.header("x-request-id")
            assert fresh
            assert fresh != given
            assert world.decisions[-1].request == fresh


async def test_two_calls_with_one_request_id_are_told_apart_by_their_mandates():
    async with gateway(answering(ok(b"1"), ok(b"22"))) as world:
        await world.call()
        await world.call()
        first, second = world.decisions
        assert first.request == second.request
        assert first.mandate != second.mandate
        received = {entry.mandate: entry.received_bytes for entry in world.results}
        assert received == {first.mandate: 1, second.mandate: 2}


async def test_draining_takes_no_more_calls():
    async with gateway(HELLO) as world:
        world.app.begin_draining()
        answer = await world.call()
        assert answer.error == (503, "sts_unavailable", "draining")
        assert answer.header("retry-after") == "1"


async def test_one_call_too_many_is_turned_away():
    async with gateway(HELLO, settings={"max_in_flight": 1}) as world:
        world.app.in_flight = 1
        assert (await world.call()).error == (503, "sts_unavailable", "overloaded")
        world.app.in_flight = 0
        assert (await world.call()).status == 200
        assert world.registry.get_sample_value("caracal_gateway_calls_in_flight") == 0


UPSTREAM_PATHS = [
    ("", "/items/7", "/items/7"),
    ("/", "/items/7", "/items/7"),
    ("/v1", "/items/7", "/v1/items/7"),
    ("/v1/", "/items/7", "/v1/items/7"),
    ("/v1", "/", "/v1"),
    ("/v1/", "/", "/v1/"),
    ("", "/", "/"),
    ("/v1", "/items/7?b=2&a=1", "/v1/items/7?b=2&a=1"),
    ("", "/items/%e2%82%ac", "/items/%e2%82%ac"),
    (
        "/v1?key=own",
        "/items/7?a=1&key=mine&KEY=mine&k%65y=mine&b;key=mine",
        "/v1/items/7?a=1&key=own",
    ),
    ("/v1?key=own", "/items/7", "/v1/items/7?key=own"),
]


@pytest.mark.parametrize(("base", "target", "reached"), UPSTREAM_PATHS)
async def test_the_callers_path_is_appended_to_the_upstreams_own(base, target, reached):
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b""))) as world:
        world.zone.install(record(resources=(resource(ORDERS, world.upstream_url(base)),)))
        assert (await world.call("GET", target)).status == 200
        assert seen[0].split(b"\r\n")[0].decode() == f"GET {reached} HTTP/1.1"


async def test_redirects_and_errors_of_the_upstream_pass_as_they_are():
    for line, fields in (("303 See Other", "Location: /elsewhere"), ("404 Not Found", "X-A: b")):
        response = f"HTTP/1.1 {line}\r\n{fields}\r\nContent-Length: 2\r\n\r\nno".encode()
        async with gateway(answering(response)) as world:
            answer = await world.call()
            assert (answer.status, answer.body) == (int(line[:3]), b"no")
            name, _, value = fields.partition(": ")
            assert answer.header(name.lower()) == value
            assert world.results[0].status == int(line[:3])
            assert world.results[0].reason == ""
            assert world.upstream.connections == 1


def interim() -> Speaks:
    return answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok(b"hello"))


async def test_interim_responses_are_left_out():
    async with gateway(interim()) as world:
        answer = await world.call()
        assert (answer.status, answer.body, answer.header("link")) == (200, b"hello", None)
