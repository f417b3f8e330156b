"""An ID token of a trusted issuer becomes a session mandate of its user, once, on record."""

import asyncio
from datetime import timedelta

import pytest

from caracal.authority.events import Verdict
from caracal.authority.mandates import MandateClass, SubjectType
from caracal.authority.outcomes import Unavailable
from caracal.authority.subjects import ProvenUser, User
from caracal.authority.zones import Application
from caracal.tokens.client_secrets import hash_generated
from caracal_server.sts.used_tokens import UsedTokens
from tests.sts.world import World, sts
from tests.support.zone import (
    ALPHA,
    BETA,
    ISSUER,
    OTHER_ZONE,
    PEPPER,
    SECRETS,
    ZONE,
    record,
)
from tests.tokens.id_tokens import NOW, TRUSTED, document, token

ANN = User(TRUSTED.issuer, "user-1")
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
NOTHING = dict.fromkeys(("scope", "resource", "agent_session_id", "delegation_edge_id"))


@pytest.fixture
async def world():
    async with sts() as made:
        made.zone.clock.instant = NOW
        made.zone.install(record(subject_issuers=(TRUSTED,)))
        made.issuer_keys.documents[TRUSTED.jwks_url] = document()
        yield made


async def federate(world: World, raw: bytes | None = None, **changes):
    raw = token() if raw is None else raw
    subject = {"subject_token": raw.decode(), "subject_token_type": ID_TOKEN}
    return await world.mint(**(NOTHING | subject | changes))


def session_mandate(world: World, **changes) -> str:
    """A session mandate of ours, as the STS signs it."""
    session = world.session
    nothing = {"scopes": world.zone.mandate(session).scopes, "resources": (), "session_path": ()}
    values = {"mandate_class": MandateClass.SESSION, "record": "record-1"}
    return world.zone.token(world.zone.mandate(session, **(nothing | values | changes)))


async def test_a_user_gets_a_session_mandate_that_alone_does_nothing(world):
    answer = await federate(world)
    assert answer.status == 200, answer.body
    assert sorted(answer.json) == [
        "access_token",
        "caracal_receipt",
        "expires_in",
        "issued_token_type",
        "token_type",
    ]
    assert answer.json["expires_in"] == 900
    mandate = world.verified(answer, kind=MandateClass.SESSION)
    assert (mandate.user, mandate.subject_type) == (ANN, SubjectType.USER)
    assert (mandate.application_id, mandate.audience) == (ALPHA, (ISSUER,))
    assert (len(mandate.scopes), mandate.resources, mandate.session_path) == (0, (), ())
    assert mandate.record == mandate.root_record


async def test_it_is_on_record_before_it_leaves(world):
    answer = await federate(world)
    [entry] = world.log.waited
    assert (entry.verdict, entry.request) == (Verdict.ALLOW, "request-1")
    assert (entry.subject, entry.subject_issuer) == (ANN.name, ANN.issuer)
    assert entry.policies == ("caracal-subject-federation",)
    assert (entry.application, entry.application_name) == (ALPHA, "Alpha")
    assert entry.mandate == world.verified(answer, kind=MandateClass.SESSION).id
    assert world.registry.get_sample_value("caracal_sts_users_federated_total") == 1


@pytest.mark.parametrize(("ttl", "seconds"), [("60", 60), ("3600", 3600), ("0", 900)])
async def test_its_life_is_what_was_asked_for(world, ttl, seconds):
    answer = await federate(world, ttl_seconds=ttl)
    assert answer.json["expires_in"] == seconds


async def test_more_than_an_hour_is_refused(world):
    answer = await federate(world, ttl_seconds="3601")
    assert (answer.status, answer.json["error"]) == (400, "invalid_token")
    assert answer.json["reason"] == "lifetime_too_long"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resource", "https://orders.example"),
        ("scope", "agent:lifecycle"),
        ("session_id", "record-1"),
        ("agent_session_id", "s1"),
        ("delegation_edge_id", "d1"),
        ("approval_id", "a1"),
    ],
)
async def test_what_does_not_go_with_an_id_token_is_named(world, field, value):
    answer = await federate(world, **{field: value})
    assert (answer.status, answer.json["error"]) == (400, "invalid_token")
    assert field in answer.json["error_description"]
    assert not world.issuer_keys.asked


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"a.b.c", "subject_token_malformed"),
        (token(iss="https://evil.example"), "subject_issuer_unknown"),
        (token(number=1), "subject_token_signature"),
        (token(header={"kid": "other"}), "subject_token_key_unknown"),
        (token(aud="other"), "subject_token_audience"),
        (token(exp=int((NOW - timedelta(minutes=2)).timestamp())), "subject_token_expired"),
        (token(sub="caracal:shared"), "subject_name_invalid"),
    ],
)
async def test_a_token_that_proves_nobody_is_refused_and_recorded(world, raw, reason):
    answer = await federate(world, raw)
    assert (answer.status, answer.json["error"]) == (401, "invalid_token")
    assert answer.json["reason"] == reason
    [entry] = world.decisions
    assert (entry.verdict, entry.reason) == (Verdict.REFUSE, reason)
    assert (entry.subject, entry.policies) == (ALPHA, ("caracal-subject-federation",))
    assert world.count(reason) == 1


async def test_nothing_of_the_token_is_in_answer_or_evidence(world):
    raw = token(number=1, email="planted@id.example")
    answer = await federate(world, raw)
    for part in raw.decode().split("."):
        assert part.encode() not in answer.body
        assert part not in repr(world.log.entries)


async def test_why_keys_can_not_be_had_is_told_to_the_operator_only(world):
    world.issuer_keys.documents.clear()
    answer = await federate(world)
    assert (answer.status, answer.json["reason"]) == (401, "subject_keys_unavailable")
    assert "answer" not in answer.json["error_description"]
    [entry] = world.decisions
    assert entry.detail == f"{TRUSTED.jwks_url} does not answer"


async def test_the_application_proves_itself_first(world):
    answer = await federate(world, client_secret="cs_wrong")
    assert (answer.status, answer.json["reason"]) == (401, "client_secret_wrong")
    assert not world.issuer_keys.asked


async def test_an_issuer_counts_in_its_zone_only(world):
    world.zone.install(
        record(
            OTHER_ZONE,
            applications=(Application(BETA, "Beta"),),
            secrets={BETA: hash_generated(SECRETS[BETA], PEPPER)},
        )
    )
    world.zone.install(record(subject_issuers=(TRUSTED,), applications=()))
    secret = SECRETS[BETA].reveal()
    answer = await federate(world, zone_id=OTHER_ZONE, application_id=BETA, client_secret=secret)
    assert answer.json["reason"] == "subject_issuer_unknown"


async def test_a_token_is_accepted_once_however_it_is_signed(world):
    twins = [token("ES256") for _ in range(4)]
    assert len(set(twins)) == 4
    answers = await asyncio.gather(*(federate(world, twin) for twin in twins))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
    reasons = [answer.json.get("reason") for answer in answers]
    assert reasons.count("subject_token_replayed") == 3
    refused = [entry for entry in world.decisions if entry.verdict is Verdict.REFUSE]
    assert {(entry.subject, entry.subject_issuer) for entry in refused} == {(ANN.name, ANN.issuer)}


async def test_a_token_whose_mandate_could_not_be_recorded_is_good_for_another_try(world):
    raw = token()
    world.log.fails = "before"
    answer = await federate(world, raw)
    assert (answer.status, answer.json["error"]) == (503, "sts_unavailable")
    world.log.fails = ""
    assert (await federate(world, raw)).status == 200


async def test_a_refusal_that_can_not_be_recorded_is_not_given(world):
    world.log.fails = "before"
    assert (await federate(world, token(number=1))).status == 503


async def test_what_was_proven_before_a_revocation_counts_no_more(world):
    world.zone.clock.move(seconds=10)
    graph = world.zone.graph
    graph.apply(graph.plan_end_of_user(ANN, reason="left", now=world.zone.clock.now()))
    answer = await federate(world)
    assert (answer.status, answer.json["reason"]) == (401, "subject_revoked")
    assert (await federate(world, token(sub="user-2"))).status == 200

    world.zone.clock.move(seconds=2)
    later = int(world.zone.clock.now().timestamp())
    assert (await federate(world, token(iat=later))).status == 200


async def test_mandates_of_a_session_that_works_for_a_user_name_the_user(world):
    proof = ProvenUser(ANN, world.zone.clock.now() + timedelta(minutes=10))
    source = world.zone.start(proven=proof)
    target = world.zone.start(parent_id=source.id)
    delegation = world.zone.delegate(source, target)
    answer = await world.mint(agent_session_id=target.id, delegation_edge_id=delegation.id)
    mandate = world.verified(answer)
    assert (mandate.user, mandate.application_id) == (ANN, ALPHA)
    assert answer.json["expires_in"] <= 600
    [entry] = world.decisions
    assert (entry.subject, entry.subject_issuer) == (ANN.name, ANN.issuer)


async def test_what_a_user_session_hands_on_is_held_under_its_holders_name(world):
    proof = ProvenUser(ANN, world.zone.clock.now() + timedelta(minutes=10))
    source, target = world.zone.start(proven=proof), world.zone.start()
    delegation = world.zone.delegate(source, target)
    answer = await world.mint(agent_session_id=target.id, delegation_edge_id=delegation.id)
    mandate = world.verified(answer)
    assert (mandate.subject, mandate.user) == (ALPHA, None)
    graph = world.zone.graph
    graph.apply(graph.plan_end_of_user(ANN, reason="left", now=world.zone.clock.now()))
    assert graph.revocations.covering(mandate) is not None


async def present(world: World, raw: str, **changes):
    subject = {"subject_token": raw, "subject_token_type": ACCESS_TOKEN}
    nothing = {"agent_session_id": None, "delegation_edge_id": None}
    return await world.mint(**(nothing | subject | changes))


async def test_a_mandate_presented_as_subject_token_is_verified_and_then_refused(world):
    answer = await present(world, session_mandate(world), session_id="record-1")
    assert (answer.status, answer.json["error"]) == (403, "access_denied")
    assert answer.json["reason"] == "resource_mandate_unavailable"
    [entry] = world.decisions
    assert (entry.verdict, entry.reason) == (Verdict.REFUSE, "resource_mandate_unavailable")


async def test_a_presented_mandate_needs_a_resource(world):
    answer = await present(world, session_mandate(world), resource=None)
    assert (answer.status, answer.json["reason"]) == (400, "resource_missing")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "https://other.example"}, "mandate_issuer"),
        ({"zone_id": OTHER_ZONE}, "mandate_zone"),
        ({"mandate_class": MandateClass.GATEWAY}, "mandate_class"),
        ({"audience": ("https://other.example",)}, "mandate_audience"),
        (
            {"expires_at": NOW - timedelta(minutes=1), "issued_at": NOW - timedelta(minutes=9)},
            "mandate_expired",
        ),
        ({"issued_at": NOW + timedelta(seconds=61)}, "mandate_not_yet_valid"),
    ],
)
async def test_a_presented_token_that_is_no_session_mandate_of_the_zone_is_unauthorized(
    world, changes, reason
):
    answer = await present(world, session_mandate(world, **changes))
    assert (answer.status, answer.json["error"]) == (401, "invalid_token")
    assert answer.json["reason"] == reason


@pytest.mark.parametrize(
    ("mandate", "form"),
    [
        ({}, {"session_id": "record-2"}),
        ({"application_id": BETA}, {}),
        ({"session_path": ("s1",)}, {"agent_session_id": "s2"}),
    ],
)
async def test_a_presented_mandate_has_to_fit_the_request(world, mandate, form):
    answer = await present(world, session_mandate(world, **mandate), **form)
    assert (answer.status, answer.json["error"]) == (403, "access_denied")
    assert answer.json["reason"] == "subject_token_mismatch"


async def test_a_presented_mandate_that_was_revoked_is_denied(world):
    raw = session_mandate(world, session_path=(world.session.id,))
    world.zone.end(world.session)
    answer = await present(world, raw)
    assert (answer.status, answer.json["reason"]) == (403, "subject_token_mismatch")


async def test_a_zone_that_is_not_loaded_or_has_no_key_answers_unavailable(world):
    raw = session_mandate(world)
    graphs, keys = world.zone.graphs._graphs, world.zone.keys.keys
    graph = graphs.pop(ZONE)
    assert (await federate(world)).status == 503
    assert (await present(world, raw)).status == 503
    graphs[ZONE] = graph
    keys.pop(ZONE)
    assert (await federate(world)).status == 503
    assert (await present(world, raw)).status == 503


def test_used_tokens_are_forgotten_once_they_have_expired_and_never_before():
    used, later = UsedTokens(capacity=2), NOW + timedelta(minutes=1)
    assert used.claim(ZONE, b"a", until=later, now=NOW)
    assert used.claim(OTHER_ZONE, b"a", until=later, now=NOW)
    assert not used.claim(ZONE, b"a", until=later, now=NOW)
    with pytest.raises(Unavailable):
        used.claim(ZONE, b"b", until=later, now=later - timedelta(microseconds=1))
    assert used.claim(ZONE, b"b", until=later + timedelta(minutes=1), now=later)
    assert used.claim(ZONE, b"a", until=later + timedelta(minutes=1), now=later)
    used.release(ZONE, b"a")
    assert not used.claim(ZONE, b"b", until=later, now=later)
