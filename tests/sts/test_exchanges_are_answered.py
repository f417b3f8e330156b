"""What the token endpoint answers, and what it records."""

import asyncio
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from caracal.authority.events import Verdict
from caracal.authority.mandates import MandateClass
from caracal.authority.scopes import ScopeSet
from caracal.authority.zones import Application
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.mandates import verify_mandate
from caracal_server.sts.exchange import MintForResource
from tests.sts.world import FORM, World, sts
from tests.support.asgi import ask, scope
from tests.support.zone import (
    ALPHA,
    BETA,
    ISSUER,
    KEYS,
    MAIL,
    ORDERS,
    OTHER_ZONE,
    SECRETS,
    ZONE,
    record,
    resource,
)


async def test_a_gateway_mandate_carries_what_the_delegation_grants_and_is_on_record_first():
    async with sts() as world:
        answer = await world.mint(scope="write read", ttl_seconds="600")
        assert answer.status == 200
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-request-id") == "request-1"
        body = answer.json
        assert body.pop("access_token")
        assert body == {
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": "read write",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "target_resources": [ORDERS],
            "caracal_receipt": answer.header("caracal-receipt"),
        }
        mandate = world.verified(answer)
        assert mandate.application_id == mandate.subject == ALPHA
        assert mandate.session_path == world.session.path
        assert mandate.delegation_path == (world.delegation.id,)
        assert mandate.scopes == ScopeSet.of("read", "write")
        assert mandate.graph_epoch == world.zone.graph.epoch
        [decision] = world.log.waited
        assert decision.verdict is Verdict.ALLOW
        assert (decision.mandate, decision.session) == (mandate.id, world.session.id)
        assert (decision.request, decision.zone, decision.application_name) == (
            "request-1",
            ZONE,
            "Alpha",
        )
        assert (decision.resource, decision.scopes) == (ORDERS, "read write")
        assert (decision.policy, decision.policies) == (world.zone.policy_digest, ("alpha-works",))
        assert decision.expires_at == int(mandate.expires_at.timestamp())
        assert world.count("issued") == 1


async def test_a_session_mandate_is_had_without_a_session_and_asks_no_policy():
    async with sts() as world:
        answer = await world.post(urlencode(world.bootstrap()).encode())
        mandate = world.verified(answer, kind=MandateClass.SESSION)
        assert answer.json["expires_in"] == 900
        assert (mandate.session_path, mandate.delegation_path) == ((), ())
        assert mandate.record == mandate.root_record
        [decision] = world.decisions
        assert (decision.policy, decision.policies) == ("", ())


async def test_of_several_resources_those_are_granted_that_pass():
    async with sts() as world:
        answer = await world.mint(resource=[MAIL, ORDERS])
        assert answer.json["target_resources"] == [ORDERS]


async def test_a_mandate_never_outlives_what_it_rests_on():
    async with sts() as world:
        world.zone.clock.move(minutes=20)
        answer = await world.mint()
        assert 590 <= answer.json["expires_in"] <= 600


# The form's changes; status, code, reason; who the entry names: nobody (None: no entry at all),
# "unproven" (bounded, nobody waits) or "proven" (durable before the answer).
REFUSALS = {
    "no grant type": ({"grant_type": None}, (400, "invalid_token", "request_malformed"), None),
    "another grant type": (
        {"grant_type": "client_credentials"},
        (400, "invalid_token", "request_malformed"),
        None,
    ),
    "no zone": ({"zone_id": None}, (400, "invalid_token", "request_malformed"), None),
    "no application": ({"application_id": None}, (400, "invalid_token", "request_malformed"), None),
    "a repeated field": (
        {"scope": ["read", "write"]},
        (400, "invalid_token", "request_malformed"),
        None,
    ),
    "an actor token": (
        {"actor_token": "x"},
        (400, "invalid_token", "subject_token_unsupported"),
        None,
    ),
    "a client assertion": (
        {"client_assertion": "x"},
        (400, "invalid_token", "subject_token_unsupported"),
        None,
    ),
    "a negative life": ({"ttl_seconds": "-1"}, (400, "invalid_token", "request_malformed"), None),
    "a lone subject token": (
        {"subject_token": "x"},
        (400, "invalid_token", "request_malformed"),
        None,
    ),
    "no secret": (
        {"client_secret": None},
        (401, "access_denied", "client_secret_wrong"),
        "unproven",
    ),
    "a wrong secret": (
        {"client_secret": "cs_wrong"},
        (401, "access_denied", "client_secret_wrong"),
        "unproven",
    ),
    "an unknown application": (
        {"application_id": "app-none"},
        (401, "access_denied", "client_unknown"),
        "unproven",
    ),
    "another application's secret": (
        {"client_secret": SECRETS[BETA].reveal()},
        (401, "access_denied", "client_secret_wrong"),
        "unproven",
    ),
    "another zone and the right secret": (
        {"zone_id": OTHER_ZONE},
        (403, "zone_invalid", "client_zone_mismatch"),
        "unproven",
    ),
    "another zone and a wrong secret": (
        {"zone_id": OTHER_ZONE, "client_secret": "cs_wrong"},
        (401, "access_denied", "client_secret_wrong"),
        "unproven",
    ),
    "a zone that does not exist": (
        {"zone_id": "zone-none", "client_secret": "cs_wrong"},
        (401, "access_denied", "client_secret_wrong"),
        None,
    ),
    "no resource": ({"resource": None}, (400, "invalid_token", "resource_missing"), "proven"),
    "an unknown resource": (
        {"resource": "https://none.example"},
        (403, "access_denied", "resource_unknown"),
        "proven",
    ),
    "a resource outside the delegation": (
        {"resource": MAIL},
        (403, "access_denied", "delegation_resource_exceeded"),
        "proven",
    ),
    "an undeclared scope": (
        {"scope": "everything"},
        (403, "access_denied", "scope_unknown"),
        "proven",
    ),
    "a scope outside the delegation": (
        {"scope": "delete"},
        (403, "access_denied", "delegation_scope_exceeded"),
        "proven",
    ),
    "too long a life": (
        {"ttl_seconds": "3601"},
        (400, "invalid_token", "lifetime_too_long"),
        "proven",
    ),
    "a delegation without a session": (
        {"agent_session_id": None},
        (403, "access_denied", "delegation_without_session"),
        "proven",
    ),
    "a session without a delegation": (
        {"delegation_edge_id": None},
        (403, "access_denied", "delegation_required"),
        "proven",
    ),
    "an unknown session": (
        {"agent_session_id": "none"},
        (403, "access_denied", "session_unknown"),
        "proven",
    ),
    "an unknown delegation": (
        {"delegation_edge_id": "none"},
        (403, "access_denied", "delegation_unknown"),
        "proven",
    ),
    "another application's session": (
        {"application_id": BETA, "client_secret": SECRETS[BETA].reveal()},
        (403, "access_denied", "session_foreign"),
        "proven",
    ),
    "a subject token": (
        {
            "subject_token": "x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        },
        (401, "invalid_token", "mandate_malformed"),
        "proven",
    ),
    "an approval": ({"approval_id": "none"}, (401, "access_denied", "approval_unknown"), "proven"),
    "a record": ({"session_id": "none"}, (403, "access_denied", "session_unknown"), "proven"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_request_says_why_and_is_recorded_for_what_was_proven(case):
    changes, error, recorded = REFUSALS[case]
    async with sts() as world:
        answer = await world.mint(**changes)
        assert answer.error == error
        assert b"cs_" not in answer.body
        assert world.count(error[2]) == 1
        if recorded is None:
            assert world.log.entries == []
            return
        [decision] = world.decisions
        assert (decision.verdict, decision.reason) == (Verdict.REFUSE, error[2])
        assert decision.application == changes.get("application_id", ALPHA)
        assert decision.zone == changes.get("zone_id", ZONE)
        assert decision.request == "request-1"
        assert bool(decision.application_name) is (recorded == "proven")
        assert (decision in world.log.waited) is (recorded == "proven")


async def test_a_refusal_by_policy_names_the_policy_and_its_version():
    async with sts() as world:
        root = world.zone.start()
        target = world.zone.start(parent_id=root.id)
        delegation = world.zone.delegate(root, target, "delete")
        answer = await world.mint(
            agent_session_id=target.id, delegation_edge_id=delegation.id, scope="delete"
        )
        assert answer.error == (403, "access_denied", "policy_forbid")
        [decision] = world.decisions
        assert (decision.policy, decision.policies) == (world.zone.policy_digest, ("never-delete",))


async def test_a_zone_without_policy_grants_nothing():
    async with sts() as world:
        world.zone.install(record(policy=None))
        assert (await world.mint()).error == (403, "access_denied", "policy_none_active")
        assert world.decisions[0].policy == ""


async def test_an_application_that_is_switched_off_or_expired_is_not_known():
    async with sts() as world:
        now = world.zone.clock.now()
        for application in (
            Application(ALPHA, "Alpha", enabled=False),
            Application(ALPHA, "Alpha", expires_at=now),
        ):
            world.zone.install(record(applications=(application,)))
            assert (await world.mint()).error == (401, "access_denied", "client_unknown")
        world.zone.install(record(secrets={}))
        assert (await world.mint()).error[2] == "client_unknown"


async def test_a_mandate_that_verifiers_would_not_read_is_not_handed_out():
    async with sts() as world:
        applications = (Application(ALPHA, "Alpha"),)
        resources = tuple(resource(f"https://{'r' * 450}{number}.example") for number in range(20))
        world.zone.install(record(applications=applications, resources=resources))
        form = world.bootstrap(resource=[entry.identifier for entry in resources])
        answer = await world.post(urlencode(form, doseq=True).encode())
        assert answer.error[2] == "mandate_too_large"
        assert world.count("issued") == 0


ENVELOPES = {
    "GET": ({"method": "GET"}, (405, "invalid_request", "method_unsupported")),
    "HEAD": ({"method": "HEAD"}, (405, "invalid_request", "method_unsupported")),
    "a query": ({"target": "/oauth/2/token?a=b"}, (400, "invalid_token", "request_malformed")),
    "no media type": ({"headers": []}, (415, "invalid_token", "request_malformed")),
    "JSON": (
        {"headers": [(b"content-type", b"application/json")]},
        (415, "invalid_token", "request_malformed"),
    ),
    "two media types": (
        {"headers": [FORM, FORM]},
        (400, "invalid_token", "header_duplicate"),
    ),
}


@pytest.mark.parametrize("case", ENVELOPES)
async def test_the_envelope_is_judged_before_the_body_is_read(case):
    changes, error = ENVELOPES[case]
    async with sts() as world:
        too_much = [b"a" * 70_000]
        changes = {"headers": [FORM]} | changes
        changes["headers"] = [(b"x-request-id", b"request-1"), *changes["headers"]]
        answer = await world.post(too_much, **changes)
        assert answer.error == error
        assert answer.header("allow") == ("POST" if error[0] == 405 else None)


async def test_a_form_is_read_to_its_limit_and_no_further():
    async with sts() as world:
        announced = [FORM, (b"content-length", b"65537")]
        for body, headers in (([b"a" * 65_537], [FORM]), ([b"a"], announced)):
            answer = await world.post(body, headers=headers)
            assert answer.error == (413, "payload_too_large", "body_too_large")


async def test_a_form_may_come_in_pieces_and_with_a_charset():
    async with sts() as world:
        body = urlencode(world.form()).encode()
        media_type = (b"content-type", b"Application/X-WWW-Form-Urlencoded; charset=UTF-8")
        answer = await world.post([body[:9], b"", body[9:]], headers=[media_type])
        assert answer.status == 200


async def test_a_client_that_leaves_gets_nothing_done():
    async with sts() as world:

        async def receive():
            return {"type": "http.disconnect"}

        sent = []

        async def send(message):
            sent.append(message)

        await world.app(scope("POST", "/oauth/2/token", [FORM]), receive, send)
        assert sent[0]["status"] == 499
        assert world.log.entries == []


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        ("before", (503, "sts_unavailable", "evidence_unavailable")),
        ("after", (503, "sts_unavailable", "evidence_unavailable")),
        ("oddly", (500, "internal_error", "internal")),
    ],
)
async def test_a_decision_that_can_not_be_recorded_signs_nothing(fails, error):
    async with sts() as world:
        world.log.fails = fails
        for changes in ({}, {"scope": "delete"}):
            answer = await world.mint(**changes)
            assert answer.error == error
            assert b"access_token" not in answer.body
            assert b"a secret" not in answer.body
        assert world.count("issued") == 0


async def test_without_sessions_or_keys_nothing_is_signed():
    async with sts() as world:
        world.zone.keys.keys.clear()
        assert (await world.mint()).error == (503, "sts_unavailable", "store_unavailable")
        world.zone.graphs._graphs.clear()
        assert (await world.mint()).error == (503, "sts_unavailable", "store_unavailable")
        assert world.log.entries == []


async def test_one_exchange_too_many_is_turned_away():
    async with sts(max_in_flight=1) as world:
        world.log.gate = asyncio.Event()
        first = asyncio.create_task(world.mint())
        while not world.app._in_flight.count:
            await asyncio.sleep(0)
        answer = await world.mint()
        assert answer.error == (503, "sts_unavailable", "overloaded")
        assert answer.header("retry-after") == "1"
        world.log.gate.set()
        assert (await first).status == 200


async def test_mandates_minted_at_once_are_all_different():
    async with sts() as world:
        answers = await asyncio.gather(*(world.mint() for _ in range(64)))
        assert len({world.verified(answer).id for answer in answers}) == 64
        assert len({entry.mandate for entry in world.decisions}) == 64


async def jwks(world: World, query: str = f"?zone_id={ZONE}", method: str = "GET"):
    return await world.get(f"/.well-known/jwks.json{query}", method)


async def test_a_zones_keys_are_published():
    async with sts() as world:
        answer = await jwks(world)
        assert answer.status == 200
        assert [key["kid"] for key in answer.json["keys"]] == [f"key-of-{ZONE}"]
        assert all("d" not in key for key in answer.json["keys"])
        assert answer.header("cache-control") == "public, max-age=300, must-revalidate"
        assert answer.header("content-type") == "application/json"
        assert answer.header("x-request-id") == "request-1"
        assert (await jwks(world, method="HEAD")).status == 200
        assert (await jwks(world, "?a=b&zone_id=zone%2D1")).status == 200


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", (400, "invalid_token", "request_malformed")),
        ("?zone_id=", (400, "invalid_token", "request_malformed")),
        ("?zone_id=a%20b", (400, "invalid_token", "request_malformed")),
        ("?zone_id=a&zone_id=b", (400, "invalid_token", "request_malformed")),
        ("?zone_id=zone-none", (404, "resource_not_found", "zone_unknown")),
    ],
)
async def test_keys_of_no_zone_are_not_published(query, error):
    async with sts() as world:
        assert (await jwks(world, query)).error == error


async def test_the_servers_metadata_says_where_everything_is():
    async with sts() as world:
        answer = await world.get("/.well-known/oauth-authorization-server")
        assert answer.json["issuer"] == ISSUER
        assert answer.json["token_endpoint"] == f"{ISSUER}/oauth/2/token"
        assert "jwks_uri" not in answer.json
        assert answer.header("cache-control") == "public, max-age=3600"
        answer = await world.get(f"/.well-known/oauth-authorization-server?zone_id={ZONE}")
        assert answer.json["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json?zone_id={ZONE}"


async def test_documents_are_only_read_and_other_paths_are_not_there():
    async with sts() as world:
        answer = await jwks(world, method="POST")
        assert answer.error == (405, "invalid_request", "method_unsupported")
        assert answer.header("allow") == "GET, HEAD"
        assert (await world.get("/oauth/2/other")).error[:2] == (404, "not_found")
        await world.app({"type": "lifespan"}, None, None)


async def test_a_resource_mandate_is_narrower_and_never_later_than_what_was_presented():
    async with sts() as world:
        presented = world.zone.mandate(world.session, world.delegation, resources=(ORDERS, MAIL))
        mint = MintForResource(world.zone.entropy, world.zone.keys, timedelta(minutes=1))
        now = world.zone.clock.now()

        def read(token, audience):
            return verify_mandate(
                RawToken(token.encode()),
                keys=KeySet(KEYS[ZONE].public),
                issuer=ISSUER,
                zone_id=ZONE,
                mandate_classes={MandateClass.RESOURCE},
                audience=audience,
                now=now,
            ).mandate

        own = read(await mint.mint_for_resource(presented, MAIL, now=now), MAIL)
        assert own.resources == own.audience == (MAIL,)
        assert own.scopes == presented.scopes
        assert own.expires_at <= now + timedelta(minutes=1)
        assert own.root_record == presented.root_record != own.record
        other = "https://other.example"
        none = read(await mint.mint_for_resource(presented, other, now=now), other)
        assert (none.resources, len(none.scopes)) == ((), 0)
        late = MintForResource(world.zone.entropy, world.zone.keys, timedelta(hours=9))
        capped = read(await late.mint_for_resource(presented, MAIL, now=now), MAIL)
        assert capped.expires_at == presented.expires_at


@pytest.mark.parametrize(
    ("method", "path", "bearer", "said"),
    [
        ("GET", "/approvals/some?wait=25", None, (404, "resource_not_found", "approval_unknown")),
        ("HEAD", "/approvals/some", None, (404, "resource_not_found", "approval_unknown")),
        (
            "POST",
            "/approvals/some/decision",
            "a.b.c",
            (404, "resource_not_found", "approval_unknown"),
        ),
        ("POST", "/approvals/some/decision", None, (401, "invalid_token", "mandate_missing")),
        ("POST", "/approvals/some", None, (405, "invalid_request", "method_unsupported")),
        ("DELETE", "/approvals/some", None, (405, "invalid_request", "method_unsupported")),
        ("GET", "/approvals/a%2Fb", None, (404, "resource_not_found", "approval_unknown")),
    ],
)
async def test_whoever_waits_for_an_approval_is_told_at_once_that_there_is_none(
    method, path, bearer, said
):
    headers = [] if bearer is None else [(b"authorization", b"Bearer " + bearer.encode())]
    async with sts() as world:
        answer = await ask(world.app, method, path, headers)
        assert (answer.status, answer.json["error"], answer.json["reason"]) == said
