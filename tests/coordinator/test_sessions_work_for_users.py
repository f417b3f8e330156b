"""A session works for a user only with proof of the user, and ends with the proof or the user."""

import pytest

from caracal.authority.mandates import MandateClass, SubjectType
from caracal.authority.outcomes import Reason
from caracal.authority.revocation import AnchorKind
from caracal.authority.scopes import NO_SCOPES
from caracal.authority.subjects import User
from tests.coordinator.world import ZONE, World

ANN = User("https://id.example", "auth0|ann")
REVOKE = "/subjects/revoke"


def proof(world: World, application: str = "app-1", **changes) -> dict[str, str]:
    """What an application got for the user's ID token, as it goes into the body of a start."""
    values = {
        "id": "mandate-of-ann",
        "subject": ANN.name,
        "subject_issuer": ANN.issuer,
        "subject_type": SubjectType.USER,
        "scopes": NO_SCOPES,
        "record": "record-of-ann",
        "root_record": "record-of-ann",
    }
    token = world.bearer(application, **(values | changes))
    return {"subject_session_id": "record-of-ann", "subject_token": token}


async def revoke(world: World, **changes):
    body = {"issuer": ANN.issuer, "subject_id": ANN.name, "reason": "left"} | changes
    return await world.ask("POST", REVOKE, body, token="operator-write")


async def test_a_session_works_for_the_user_who_was_proven(world):
    answer = await world.start(**proof(world))
    assert answer["subject_authority_record_id"] == "record-of-ann"
    assert answer["ttl_seconds"] == 900, "no longer than the proof"
    session = world.graph.session(answer["agent_session_id"])
    assert session.user == ANN
    stored = (await world.stored()).graph(ZONE)
    assert stored.session(session.id).user == ANN
    [entry] = await world.entries(session=session.id)
    assert (entry.subject, entry.subject_issuer) == (ANN.name, ANN.issuer)


async def test_children_work_for_the_same_user(world):
    parent = await world.session(**proof(world))
    child = await world.session(parent_id=parent)
    assert world.graph.session(child).user == ANN
    assert world.graph.session(await world.session()).user is None


async def test_without_proof_a_record_of_somebody_else_is_unknown(world):
    answer = await world.ask(
        "POST", "/agents", {"application_id": "app-1", "subject_session_id": "record-of-ann"}
    )
    assert (answer.status_code, answer.json()["error"]) == (404, "session_not_found")


FLAWS = {
    "of another record": {"record": "another"},
    "of another application": {"application_id": "app-2"},
    "of another zone": {"zone_id": "zone-2"},
    "of another class": {"mandate_class": MandateClass.GATEWAY},
    "of another issuer": {"issuer": "https://other.example"},
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
async def test_a_proof_with_a_flaw_proves_nothing(world, flaw):
    body = {"application_id": "app-1"} | proof(world, **flaw)
    answer = await world.ask("POST", "/agents", body)
    assert (answer.status_code, answer.json()["error"]) == (403, "subject_proof_required")
    assert answer.json()["reason"] == Reason.SUBJECT_TOKEN_MISMATCH
    assert ("session.start", "refuse", "subject_token_mismatch") in await world.acts()
    assert world.graph.session_count == 0


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é"])
async def test_what_is_no_mandate_proves_nothing(world, token):
    body = {"application_id": "app-1"} | proof(world) | {"subject_token": token}
    answer = await world.ask("POST", "/agents", body)
    assert answer.status_code in (400, 403)
    assert world.graph.session_count == 0


async def test_a_proof_that_has_expired_proves_nothing(world):
    body = {"application_id": "app-1"} | proof(world)
    world.clock.move(minutes=16)
    answer = await world.ask("POST", "/agents", body)
    assert answer.json()["reason"] == Reason.SUBJECT_TOKEN_MISMATCH


async def test_a_proof_belongs_to_a_record_that_is_named(world):
    body = {"application_id": "app-1", "subject_token": proof(world)["subject_token"]}
    answer = await world.ask("POST", "/agents", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_body")


async def test_a_mandate_of_the_application_itself_proves_its_record(world):
    mine = {"subject": "app-1", "subject_issuer": "", "subject_type": SubjectType.APPLICATION}
    answer = await world.start(**proof(world, **mine))
    assert answer["subject_authority_record_id"] == "record-of-ann"
    assert world.graph.session(answer["agent_session_id"]).user is None


async def test_a_service_for_a_user_ends_with_the_proof_whatever_renews_it(world):
    body = {"application_id": "app-1", "lifecycle": "service"} | proof(world)
    answer = await world.ask("POST", "/agents", body)
    assert answer.status_code == 201, answer.text
    started = answer.json()
    assert (started["lifecycle"], started["ttl_seconds"]) == ("service", 900)
    assert started["lease_generation"] == 1
    own = await world.ask("POST", "/agents", {"application_id": "app-1", "lifecycle": "service"})
    assert own.json()["ttl_seconds"] is None


async def test_a_users_mandate_steers_nothing_by_itself(world):
    token = proof(world)["subject_token"]
    answer = await world.ask("POST", "/agents", {"application_id": "app-1"}, token=token)
    assert (answer.status_code, answer.json()["error"]) == (403, "missing_scope")


async def test_requests_for_different_records_are_different_requests(world):
    key = {"idempotency-key": "one"}
    plain = {"application_id": "app-1"}
    first = await world.ask("POST", "/agents", plain, headers=key)
    again = await world.ask("POST", "/agents", plain | proof(world), headers=key)
    assert first.status_code == 201
    assert (again.status_code, again.json()["error"]) == (409, "idempotency_key_conflict")
    named = await world.ask(
        "POST", "/agents", plain | {"subject_session_id": world.mandate().record}, headers=key
    )
    assert named.headers["idempotency-replayed"] == "true"


async def test_revoking_a_user_ends_what_works_for_them_and_what_they_handed_on(world):
    mine = await world.session(**proof(world))
    child = await world.session(parent_id=mine)
    other = await world.session("app-2")
    edge = await world.delegation(mine, other, receiver="app-2")

    answer = await revoke(world)

    assert answer.status_code == 200
    assert answer.json() == {
        "subject_id": ANN.name,
        "issuer": ANN.issuer,
        "sessions": 2,
        "delegations": 1,
    }
    graph = world.graph
    assert [graph.session(row) is None for row in (mine, child, other)] == [True, True, False]
    assert graph.delegation(edge) is None
    stored = (await world.stored()).graph(ZONE)
    assert stored.session(mine) is None
    assert stored.revocations.of_user(ANN) is not None
    entry = (await world.entries())[-1]
    assert (entry.kind, entry.verdict, entry.reason) == ("subject.revoke", "allow", "left")
    assert (entry.target, entry.subject_issuer) == (ANN.name, ANN.issuer)
    assert (entry.subject, entry.actor) == ("caracal-operator", "ada (op-1)")


async def test_a_revoked_proof_starts_nothing_and_a_new_one_does(world):
    before = {"application_id": "app-1"} | proof(world)
    assert (await revoke(world)).status_code == 200
    refused = await world.ask("POST", "/agents", before)
    assert refused.json()["reason"] == Reason.SUBJECT_TOKEN_MISMATCH
    assert "revoked" in refused.json()["error_description"]
    world.clock.move(seconds=2)
    assert world.graph.session(await world.session(**proof(world))).user == ANN


async def test_revoking_is_the_same_twice_and_leaves_namesakes_alone(world):
    kept = await world.session(**proof(world, subject_issuer="https://other.example"))
    for _ in range(2):
        answer = await revoke(world)
        assert (answer.status_code, answer.json()["sessions"]) == (200, 0)
    assert world.graph.session(kept) is not None
    assert [one.kind for one in world.graph.revocations] == [AnchorKind.SUBJECT]


async def test_only_operators_revoke_users(world):
    body = {"issuer": ANN.issuer, "subject_id": ANN.name}
    mandate = await world.ask("POST", REVOKE, body)
    assert (mandate.status_code, mandate.json()["error"]) == (403, "operator_token_required")
    reader = await world.ask("POST", REVOKE, body, token="operator-read")
    assert (reader.status_code, reader.json()["error"]) == (403, "missing_scope")
    assert len(world.graph.revocations) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": None},
        {"issuer": "two words"},
        {"subject_id": None},
        {"subject_id": ""},
        {"subject_id": "caracal:shared"},
        {"subject_id": "x" * 513},
        {"reason": "x" * 257},
    ],
)
async def test_who_is_revoked_is_read_strictly(world, changes):
    answer = await revoke(world, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_body")
    assert len(world.graph.revocations) == 0


async def test_a_revocation_that_can_not_be_stored_is_in_force_all_the_same(world):
    mine = await world.session(**proof(world))
    world.store.fails = "before"
    answer = await revoke(world)
    assert answer.status_code == 503
    assert world.graph.session(mine) is None
    assert world.graph.revocations.of_user(ANN) is not None
    world.store.fails = ""
    await world.coordinator.commitment.settle()
    assert (await world.stored()).graph(ZONE).revocations.of_user(ANN) is not None
