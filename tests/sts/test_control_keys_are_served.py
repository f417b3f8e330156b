"""A control key gets mandates for the control side, within its traits, and nobody else does."""

import msgspec
import pytest

from caracal.authority.events import Verdict
from caracal.authority.mandates import MandateClass
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import Application
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.mandates import verify_mandate
from caracal_server.adapters.memory.single_use import SingleUseInMemory
from caracal_server.control.control_mandates import ControlKeyCaller, ControlMandates
from tests.sts.world import sts
from tests.support.zone import ALPHA, BETA, ISSUER, KEYS, ORDERS, SECRETS, ZONE, record

AUDIENCE = "caracal-control"
TRAITS = ("control:invoke", "control:scope:control:zone:read", "control:max-ttl:300")
ASK = {
    "resource": AUDIENCE,
    "scope": "control:zone:read",
    "zone_id": None,
    "agent_session_id": None,
    "delegation_edge_id": None,
}


@pytest.fixture
async def world():
    async with sts() as made:
        applications = (Application(ALPHA, "Alpha", traits=TRAITS), Application(BETA, "Beta"))
        made.zone.install(record(applications=applications))
        yield made


async def test_a_control_key_gets_a_mandate_for_the_control_side_without_naming_its_zone(world):
    answer = await world.mint(**ASK)
    assert answer.status == 200, answer.body
    assert (answer.json["expires_in"], answer.json["scope"]) == (300, "control:zone:read")
    mandate = verify_mandate(
        RawToken(answer.json["access_token"].encode()),
        keys=KeySet(KEYS[ZONE].public),
        issuer=ISSUER,
        zone_id=ZONE,
        mandate_classes={MandateClass.RESOURCE},
        audience=AUDIENCE,
        now=world.zone.clock.now(),
    ).mandate
    assert (mandate.application_id, mandate.session_path) == (ALPHA, ())
    [entry] = world.log.waited
    assert (entry.verdict, entry.policies) == (Verdict.ALLOW, ("control-key",))
    assert (entry.resource, entry.scopes) == (AUDIENCE, "control:zone:read")
    assert entry.mandate == mandate.id


async def test_the_zone_may_be_named_all_the_same(world):
    assert (await world.mint(**ASK | {"zone_id": ZONE})).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"scope": "control:zone:write"}, 403, "control_scope_exceeded"),
        ({"ttl_seconds": "3601"}, 400, "lifetime_too_long"),
        ({"approval_id": "a"}, 400, "request_malformed"),
        ({"zone_id": ZONE, "scope": None}, 403, "scope_missing"),
        ({"zone_id": ZONE, "scope": "read"}, 403, "control_scope_exceeded"),
        ({"zone_id": ZONE, "resource": [AUDIENCE, ORDERS]}, 400, "request_malformed"),
        ({"zone_id": ZONE, "agent_session_id": "s1"}, 400, "request_malformed"),
        ({"zone_id": "zone-2"}, 403, "client_zone_mismatch"),
    ],
)
async def test_what_goes_beyond_a_control_key_is_refused_and_recorded(
    world, changes, status, reason
):
    answer = await world.mint(**ASK | changes)
    assert (answer.status, answer.json["reason"]) == (status, reason)
    [entry] = world.decisions
    assert (entry.verdict, entry.reason) == (Verdict.REFUSE, reason)


async def test_other_applications_get_none(world):
    other = {"application_id": BETA, "client_secret": SECRETS[BETA].reveal()}
    answer = await world.mint(**ASK | other | {"zone_id": ZONE})
    assert (answer.status, answer.json["reason"]) == (403, "control_key_required")
    [entry] = world.decisions
    assert (entry.application, entry.policies) == (BETA, ("control-key",))

    without = await world.mint(**ASK | other)
    assert (without.status, without.json["reason"]) == (403, "client_zone_mismatch")


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "read"},
        {"scope": "control:zone:read read"},
        {"scope": None},
        {"resource": [AUDIENCE, ORDERS]},
        {"resource": None},
        {"agent_session_id": "s1"},
        {"session_id": "r1"},
        {"delegation_edge_id": "d1"},
        {"subject_token": "x", "subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
    ],
)
async def test_whoever_asks_for_something_else_names_a_zone(world, changes):
    answer = await world.mint(**ASK | changes)
    assert (answer.status, answer.json["reason"]) == (400, "request_malformed")
    assert "zone_id" in answer.json["error_description"]


async def test_a_wrong_secret_is_recorded_in_the_zone_of_the_key(world):
    answer = await world.mint(**ASK | {"client_secret": "cs_wrong"})
    assert (answer.status, answer.json["reason"]) == (401, "client_secret_wrong")
    [entry] = world.decisions
    assert (entry.zone, entry.application) == (ZONE, ALPHA)


async def test_without_evidence_there_is_no_mandate(world):
    world.log.fails = "before"
    assert (await world.mint(**ASK)).status == 503
    assert (await world.mint(**ASK | {"scope": "control:zone:write"})).status == 503


async def test_an_application_that_is_disabled_gets_none(world):
    disabled = Application(ALPHA, "Alpha", enabled=False, traits=TRAITS)
    world.zone.install(record(applications=(disabled,)))
    answer = await world.mint(**ASK)
    assert (answer.status, answer.json["reason"]) == (401, "client_unknown")


async def test_a_mandate_for_resources_is_no_control_mandate_whatever_its_audience(world):
    zone = world.zone
    answer = await world.mint(**ASK)
    raw = RawToken(answer.json["access_token"].encode())
    mandate = verify_mandate(
        raw,
        keys=KeySet(KEYS[ZONE].public),
        issuer=ISSUER,
        zone_id=ZONE,
        mandate_classes={MandateClass.RESOURCE},
        audience=AUDIENCE,
        now=zone.clock.now(),
    ).mandate
    used = SingleUseInMemory(started_at=zone.clock.now())
    gate = ControlMandates(zone.clock, zone.zones, zone.keys, used, ISSUER, AUDIENCE)
    assert isinstance(gate.prove(raw.decode()), ControlKeyCaller)
    other = zone.token(msgspec.structs.replace(mandate, resources=(ORDERS,)), KEYS[ZONE])
    refused = gate.prove(other)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.MANDATE_AUDIENCE
