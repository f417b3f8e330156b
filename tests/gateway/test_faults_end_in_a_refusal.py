"""Whatever fails, the answer is no, and each admitted call has exactly one result on record."""

import asyncio

import pytest

from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.zones import CredentialKind, Provider
from caracal.tokens.refusal import TokenRefused
from caracal_server.gateway.results import UPSTREAM_CLASSES
from caracal_server.ports.single_use import Claim
from caracal_server.ports.upstream import UpstreamErrorKind
from tests.adapters_http.certificates import serving_context, write_ca_file
from tests.adapters_http.raw_upstream import Conversation, ScriptedResolver, answering, forever, ok
from tests.gateway.world import World, gateway
from tests.support.asgi import Client, scope
from tests.support.zone import ORDERS, record, resource

HELLO = forever(ok(b"hello"))


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        ("before", (503, "sts_unavailable", "evidence_unavailable")),
        ("after", (503, "sts_unavailable", "evidence_unavailable")),
        ("oddly", (500, "internal_error", "internal")),
    ],
)
async def test_a_decision_that_can_not_be_recorded_lets_nothing_pass(fails, error):
    async with gateway(HELLO) as world:
        world.log.fails = fails
        answer = await world.call()
        assert answer.error == error
        assert b"secret in an exception" not in answer.body
        assert world.upstream.connections == 0
        assert len(world.decisions) == (fails == "after")
        [result] = world.results
        assert (result.reason, result.status) == (error[2], 0)
        assert result.detail == "nothing was sent"
        assert result.mandate


async def test_a_refusal_that_can_not_be_recorded_is_answered_503():
    async with gateway(HELLO) as world:
        world.log.fails = "before"
        answer = await world.call("PATCH", "/items/7")
        assert answer.error == (503, "sts_unavailable", "evidence_unavailable")
        assert world.results == []


async def test_the_refusal_of_an_unproven_call_waits_for_no_disk():
    async with gateway(HELLO) as world:
        world.log.fails = "before"
        world.log.full = True
        answer = await world.call(x_caracal_resource="")
        assert answer.error[2] == "routing_missing"
        assert world.registry.get_sample_value("caracal_gateway_refusals_unrecorded_total") == 1


async def test_a_result_that_the_log_does_not_take_spoils_no_response():
    async with gateway(HELLO) as world:
        world.log.full = True
        answer = await world.call()
        assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
        assert world.registry.get_sample_value("caracal_gateway_results_lost_total") == 1


async def test_a_call_whose_decision_waits_when_the_server_gives_up_has_a_result():
    async with gateway(HELLO) as world:
        world.log.gate = asyncio.Event()
        client = Client(())
        task = asyncio.create_task(
            world.app(scope("GET", "/items/7", world.headers()), client.receive, client.send)
        )
        while world.app.in_flight == 0:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [result] = world.results
        assert (result.reason, result.detail) == ("draining", "nothing was sent")
        assert world.upstream.connections == 0


async def test_single_use_that_can_not_be_told_lets_nothing_pass():
    class Unreachable:
        async def claim(self, mandate: object, *, now: object) -> Claim:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "gone")

    async with gateway(HELLO) as world:
        world.app.enforcement.single_use = Unreachable()
        assert (await world.call()).error == (503, "sts_unavailable", "store_unavailable")
        assert world.upstream.connections == 0


async def silent(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.gone()


async def stalls_in_the_head(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.say(b"HTTP/1.1 200 OK\r\n")
    await conversation.gone()


BAD_UPSTREAMS = {
    # kind: (what it does, options of the client, status, code, reason)
    "first_byte_timeout": (
        silent,
        {"first_byte": 0.05},
        (504, "internal_error", "upstream_timeout"),
    ),
    "slow head": (
        stalls_in_the_head,
        {"first_byte": 0.05},
        (504, "internal_error", "upstream_timeout"),
    ),
    "total_timeout": (silent, {"total": 0.05}, (504, "internal_error", "upstream_timeout")),
    "protocol_error": (
        answering(b"SSH-2.0-OpenSSH_9.6\r\n"),
        {},
        (502, "internal_error", "upstream_protocol"),
    ),
    "header_too_large": (
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000),
        {},
        (502, "internal_error", "upstream_protocol"),
    ),
    "two lengths": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        {},
        (502, "internal_error", "upstream_protocol"),
    ),
    "length and chunks": (
        answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        {},
        (502, "internal_error", "upstream_protocol"),
    ),
    "switching protocols": (
        answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        {},
        (502, "internal_error", "upstream_protocol"),
    ),
    "closed_early": (answering(), {}, (502, "internal_error", "upstream_closed_early")),
}


ERRORS = {
    "first_byte_timeout": "timeout_first_byte",
    "slow head": "timeout_first_byte",
    "total_timeout": "timeout_total",
    "closed_early": "reset",
}
"""What the evidence calls it, where it is not a fault of the protocol."""


@pytest.mark.parametrize("kind", BAD_UPSTREAMS)
async def test_an_upstream_that_fails_is_named_to_the_evidence_and_not_to_the_caller(kind):
    speaks, options, error = BAD_UPSTREAMS[kind]
    async with gateway(speaks, **options) as world:
        answer = await world.call("POST", "/items", body=[b"x"])
        assert answer.error == error
        assert b"127.0.0.1" not in answer.body
        _, result = world.pair()
        assert (result.reason, result.status) == (error[2], 0)
        assert result.error == ERRORS.get(kind, "protocol")
        assert result.detail


def test_every_failure_of_an_upstream_has_a_class():
    assert set(UPSTREAM_CLASSES) == set(UpstreamErrorKind)


async def refused_by(world: World, upstream: str, ended: str) -> tuple[tuple[int, str, str], str]:
    world.zone.install(record(resources=(resource(ORDERS, upstream),)))
    answer = await world.call()
    host = upstream.partition("//")[2].partition("/")[0].rpartition(":")[0]
    assert host.encode() not in answer.body
    _, result = world.pair()
    assert (result.reason, result.error) == (answer.error[2], ended)
    return answer.error, result.detail


async def test_an_address_that_may_not_be_called_is_not_dialled():
    async with gateway(HELLO) as world:
        error, detail = await refused_by(
            world, "http://169.254.169.254:80/latest/meta-data", "not_sent"
        )
        assert error == (502, "internal_error", "egress_refused")
        assert "169.254.169.254" in detail


async def test_an_upstream_that_does_not_listen_is_unreachable():
    async with gateway(HELLO) as world:
        error, detail = await refused_by(world, "http://127.0.0.1:1/", "connect")
        assert error == (502, "internal_error", "upstream_unreachable")
        assert "127.0.0.1" in detail


async def test_a_name_that_does_not_resolve_is_unreachable():
    resolver = ScriptedResolver(OSError("no such host"))
    async with gateway(HELLO, resolver=resolver) as world:
        error, _ = await refused_by(world, "http://gone.example:80/", "resolve")
        assert error == (502, "internal_error", "upstream_unreachable")


async def test_a_name_that_resolves_to_a_metadata_address_is_refused():
    resolver = ScriptedResolver(["169.254.169.254"])
    async with gateway(HELLO, resolver=resolver) as world:
        error, _ = await refused_by(world, "http://rebound.example:80/", "not_sent")
        assert error == (502, "internal_error", "egress_refused")


async def test_an_upstream_whose_certificate_is_not_trusted_is_unreachable(tmp_path):
    tls = serving_context(write_ca_file(tmp_path))
    async with gateway(HELLO, tls=tls) as world:
        error, detail = await refused_by(world, f"https://127.0.0.1:{world.upstream.port}/", "tls")
    assert error == (502, "internal_error", "upstream_unreachable")
    assert "certificate" in detail.lower()


async def test_a_redirect_to_a_metadata_address_is_passed_without_its_location_and_not_followed():
    response = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    async with gateway(forever(response)) as world:
        answer = await world.call()
        assert (answer.status, answer.header("location")) == (302, None)
        assert world.upstream.connections == 1


CUT_BODIES = {
    "shorter than announced": (b"Content-Length: 10\r\n\r\nhello", "upstream_closed_early"),
    "chunks that just end": (
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "upstream_closed_early",
    ),
}


@pytest.mark.parametrize("case", CUT_BODIES)
async def test_a_body_that_does_not_come_whole_is_left_unfinished(case):
    rest, reason = CUT_BODIES[case]
    async with gateway(answering(b"HTTP/1.1 200 OK\r\n" + rest)) as world:
        answer = await world.call()
        assert (answer.status, answer.whole) == (200, False)
        _, result = world.pair()
        assert (result.status, result.reason) == (200, reason)
        assert world.count(reason) == 1
        assert world.count("passed") == 0


async def test_chunks_that_stop_being_chunks_leave_the_response_unfinished():
    client = Client(())

    async def speaks(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await client.begun.wait()
        await conversation.say(b"zz\r\n")
        await conversation.gone()

    async with gateway(speaks) as world:
        await world.app(scope("GET", "/items/7", world.headers()), client.receive, client.send)
        assert (client.answer.body, client.answer.whole) == (b"ok", False)
        assert world.pair()[1].reason == "upstream_protocol"


async def test_a_body_that_stops_coming_is_left_unfinished():
    async def stalls(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await conversation.gone()

    async with gateway(stalls, idle=0.05) as world:
        answer = await world.call()
        assert (answer.body, answer.whole) == (b"hello", False)
        _, result = world.pair()
        assert (result.reason, result.received_bytes) == ("upstream_timeout", 5)


BEARER = Provider("p1", "payments", CredentialKind.BEARER_TOKEN, scheme="Bearer")
IDENTITY = Provider("p1", "payments", CredentialKind.CARACAL_MANDATE, scheme="Bearer")


async def test_without_its_credential_no_call_goes_out():
    async with gateway(HELLO) as world:
        world.provide(BEARER, credential=None)
        answer = await world.call()
        assert answer.error == (502, "http_request_failed", "credential_unavailable")
        assert b"payments" not in answer.body
        _, result = world.pair()
        assert "payments" in result.detail
        assert world.upstream.connections == 0


async def test_a_provider_that_is_gone_stops_the_call():
    async with gateway(HELLO) as world:
        world.zone.install(
            record(resources=(resource(ORDERS, world.upstream_url(), BEARER),), providers=())
        )
        assert (await world.call()).error[2] == "credential_unavailable"
        assert world.upstream.connections == 0


async def test_a_credential_goes_to_no_host_but_those_it_is_for():
    async with gateway(HELLO) as world:
        world.provide(
            Provider(
                "p1",
                "payments",
                CredentialKind.BEARER_TOKEN,
                allowed_hosts=frozenset({"api.example"}),
            )
        )
        answer = await world.call()
        assert answer.error == (502, "internal_error", "credential_host_refused")
        assert world.upstream.connections == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            Unavailable(Reason.STORE_UNAVAILABLE, "no key"),
            (503, "sts_unavailable", "store_unavailable"),
        ),
        (
            TokenRefused(Reason.MANDATE_TOO_LARGE, "too long"),
            (502, "http_request_failed", "credential_unavailable"),
        ),
        (RuntimeError("a secret"), (500, "internal_error", "internal")),
    ],
)
async def test_a_resource_mandate_that_can_not_be_had_stops_the_call(fault, error):
    async with gateway(HELLO) as world:
        world.provide(IDENTITY, credential=None)
        world.mandates.fault = fault
        assert (await world.call()).error == error
        _, result = world.pair()
        assert result.reason == error[2]
        assert "a secret" not in result.detail
        assert world.upstream.connections == 0


async def test_a_credential_that_would_split_the_head_is_not_sent_and_not_shown():
    async with gateway(HELLO) as world:
        world.provide(BEARER, credential="se\r\nX-Evil: cret")
        answer = await world.call()
        assert answer.error == (400, "invalid_token", "request_malformed")
        assert b"cret" not in answer.body
        _, result = world.pair()
        assert "cret" not in result.detail


async def test_authority_that_ends_while_the_decision_is_being_stored_ends_the_call():
    async with gateway(HELLO) as world:
        world.log.gate = asyncio.Event()
        calling = asyncio.create_task(world.call())
        while world.app.in_flight == 0:
            await asyncio.sleep(0)
        world.zone.end(world.session)
        world.log.gate.set()
        answer = await calling
        assert answer.error == (401, "invalid_token", "mandate_revoked")
        assert world.upstream.connections == 0
        _, result = world.pair()
        assert (result.reason, result.error) == ("mandate_revoked", "cut_by_revocation")


@pytest.mark.parametrize("change", ["another upstream", "another provider", "gone"])
async def test_a_zone_that_changes_after_the_admission_sends_no_credential_where_it_is_not_for(
    change,
):
    async with gateway(HELLO) as world:
        world.provide(BEARER)
        world.log.gate = asyncio.Event()
        calling = asyncio.create_task(world.call())
        while world.app.in_flight == 0:
            await asyncio.sleep(0)
        other = Provider("p2", "other", CredentialKind.BEARER_TOKEN)
        resources = {
            "another upstream": (resource(ORDERS, "https://new.example", BEARER),),
            "another provider": (resource(ORDERS, world.upstream_url(), other),),
            "gone": (),
        }[change]
        changed = record(
            resources=resources, providers=(BEARER, other), sealed={"p1": b"new", "p2": b"new"}
        )
        world.zone.install(changed)
        world.credentials.install(changed)
        world.log.gate.set()
        answer = await calling
        assert answer.error == (502, "http_request_failed", "credential_unavailable")
        assert world.upstream.connections == 0
        assert world.pair()[1].reason == "credential_unavailable"


async def test_a_zone_that_changes_in_other_ways_after_the_admission_stops_no_call():
    async with gateway(HELLO) as world:
        world.provide(BEARER)
        world.log.gate = asyncio.Event()
        calling = asyncio.create_task(world.call())
        while world.app.in_flight == 0:
            await asyncio.sleep(0)
        world.provide(BEARER, "rotated")
        world.log.gate.set()
        assert (await calling).status == 200
