"""What applying a zone document does, and what it does a second time."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from caracal.authority.events import Kind, Verdict
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.resources import Enforcement
from caracal.authority.subjects import SubjectIssuer
from caracal.tokens.client_secrets import matches_generated
from caracal.tokens.secret import Secret
from caracal_server.control.acts import Act
from caracal_server.control.document_rules import parse_document
from tests.control.world import PEPPER, PERMIT, document, opened

ISSUER = {
    "issuer": "https://id.example",
    "jwks_url": "https://id.example/keys",
    "audience": "the-app",
}


def _changes(answer):
    return [
        (change["action"], change["kind"], change["name"], *change["fields"])
        for change in answer["changes"]
    ]


async def test_a_new_zone_is_made_whole(world):
    answer = await world.applied(document())
    digest = (await world.record()).policy.digest
    assert _changes(answer) == [
        ("create", "zone", "shop"),
        ("create", "application", "orders-agent"),
        ("create", "application", "report-agent"),
        ("create", "provider", "orders"),
        ("create", "resource", "resource://orders"),
        ("create", "policy", digest),
    ]
    assert answer["zone"]["revision"] == 1
    zone = world.directory.zone(answer["zone"]["id"])
    assert zone.policy.digest == digest
    (provider,) = zone.providers.values()
    assert (provider.header, provider.scheme) == ("Authorization", "Bearer")
    assert world.credentials.credential(zone.id, provider.id) == Secret("planted-upstream-key")
    resource = zone.resources["resource://orders"]
    assert resource.scopes.render() == "orders:read orders:write"
    assert resource.enforcement is Enforcement.ENFORCED
    assert resource.operations.match("GET", ("orders", "7")).scope == "orders:read"
    assert world.signing.active(zone.id)


async def test_a_generated_secret_is_shown_once_and_opens(world):
    first = await world.applied(document())
    second = await world.applied(document())
    for entry in first["applications"]:
        stored = world.directory.secret_hash(entry["id"])
        assert matches_generated(Secret(entry["secret"]), stored, PEPPER)
    assert all("secret" not in entry for entry in second["applications"])
    assert [entry["id"] for entry in second["applications"]] == [
        entry["id"] for entry in first["applications"]
    ]


async def test_applying_again_changes_nothing_and_records_nothing(world):
    body = document(
        applications=[{"name": "a", "secret": "a secret that I brought"}, {"name": "b"}]
    )
    first = await world.applied(body)
    before = await world.record()
    entries = await world.entries(first["zone"]["id"])
    second = await world.applied(body)
    assert second["changes"] == []
    assert second["zone"] == first["zone"]
    assert await world.record() == before
    assert await world.entries(first["zone"]["id"]) == entries


async def test_a_plan_says_the_same_and_changes_nothing(world):
    planned = (await world.put(document(), "?plan=true")).json()
    assert await world.zones.load_all() == ()
    assert planned["zone"] == {"id": None, "name": "shop", "revision": 0}
    assert [entry["id"] for entry in planned["applications"]] == [None, None]
    assert planned["changes"] == (await world.applied(document()))["changes"]
    assert (await world.put(document(), "?plan=true")).json()["changes"] == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {
                "applications": [
                    {"name": "orders-agent", "enabled": False},
                    {"name": "report-agent"},
                ]
            },
            [("update", "application", "orders-agent", "enabled")],
        ),
        (
            {"applications": [{"name": "report-agent"}, {"name": "orders-agent"}]},
            [],
        ),
        (
            {"applications": [{"name": "orders-agent"}, {"name": "third"}]},
            [("delete", "application", "report-agent"), ("create", "application", "third")],
        ),
        (
            {
                "applications": [
                    {"name": "orders-agent", "expires_at": "2030-01-01T02:00:00+02:00"},
                    {"name": "report-agent"},
                ]
            },
            [("update", "application", "orders-agent", "expires_at")],
        ),
        (
            {"providers": [{"name": "orders", "kind": "bearer_token", "secret": "another key"}]},
            [("update", "provider", "orders", "credential")],
        ),
        (
            {
                "providers": [
                    {
                        "name": "orders",
                        "kind": "api_key",
                        "header": "X-Key",
                        "secret": "planted-upstream-key",
                    }
                ]
            },
            [("update", "provider", "orders", "kind", "header", "scheme")],
        ),
        (
            {
                "applications": [
                    {"name": "orders-agent", "traits": ["control:invoke"]},
                    {"name": "report-agent"},
                ]
            },
            [("update", "application", "orders-agent", "traits")],
        ),
        ({"subject_issuers": [ISSUER]}, [("create", "subject_issuer", "https://id.example")]),
        (
            {"providers": [{"name": "orders", "kind": "none"}]},
            [("update", "provider", "orders", "kind", "header", "scheme", "credential")],
        ),
    ],
)
async def test_a_change_names_its_fields(world, change, expected):
    await world.applied(document())
    answer = await world.applied(document(**change))
    assert sorted(_changes(answer)) == sorted(expected)
    assert answer["zone"]["revision"] == (2 if expected else 1)


async def test_a_resource_changes_by_field_and_not_by_spelling(world):
    first = document()
    await world.applied(first)
    (resource,) = first["resources"]
    as_list = [
        {"method": "POST", "path": "/orders", "scope": "orders:write"},
        {"method": "GET", "path": "/orders/{id}", "scope": "orders:read"},
    ]
    assert (await world.applied(document(resources=[resource | {"operations": as_list}])))[
        "changes"
    ] == []
    changed = resource | {
        "upstream": "https://orders.example/v2",
        "scopes": ["orders:admin"],
        "enforcement": "transport_uniform",
        "operations": {"GET /orders/{id}": "orders:read"},
    }
    answer = await world.applied(document(resources=[changed]))
    assert _changes(answer) == [
        (
            "update",
            "resource",
            "resource://orders",
            "upstream",
            "scopes",
            "operations",
            "enforcement",
        )
    ]


async def test_without_its_provider_a_resource_needs_no_credential(world):
    first = document()
    await world.applied(first)
    (resource,) = first["resources"]
    del resource["provider"]
    answer = await world.applied(document(providers=[], resources=[resource]))
    assert _changes(answer) == [
        ("delete", "provider", "orders"),
        ("update", "resource", "resource://orders", "provider"),
    ]
    assert (await world.record()).sealed_credentials == {}


async def test_policy_versions_are_kept_for_ever(world):
    await world.applied(document())
    other = PERMIT.replace("reads", "reads-again")
    changed = await world.applied(document(policy=other))
    await world.applied(document(policy=None))
    zone = (await world.ask("GET", "/v1/zones/shop")).json()
    assert zone["policy"] is None
    assert world.directory.zone(changed["zone"]["id"]).policy is None
    await world.applied(document())
    answer = await world.ask("GET", "/v1/zones/shop/policy-versions")
    versions = answer.json()["items"]
    assert [(entry["text"], entry["active"]) for entry in versions] == [
        (PERMIT, True),
        (other, False),
    ]


@pytest.mark.parametrize(
    ("policy", "line", "column", "says"),
    [
        ('permit (principal, action == Action::"orders:raed", resource);', 1, 30, "orders:raed"),
        ("permit (principal, action, resource)\n", 1, 37, "end of"),
        (
            'permit (principal == Application::"nobody",\n action,\n resource);',
            1,
            22,
            "nobody",
        ),
    ],
)
async def test_a_policy_that_does_not_fit_changes_nothing(world, policy, line, column, says):
    before = await world.applied(document())
    answer = await world.put(document(policy=policy))
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["reason"] == Reason.POLICY_INVALID
    assert problem["issues"][0]["path"] == ["policy", line, column]
    assert says in problem["issues"][0]["message"]
    assert (await world.record()).revision == 1
    refusal = (await world.entries(before["zone"]["id"]))[-1]
    assert (refusal.kind, refusal.reason) == (Kind.ADMIN_REFUSED, Reason.POLICY_INVALID)


async def test_a_policy_that_names_what_is_removed_keeps_it(world):
    await world.applied(
        document(policy='permit (principal == Application::"report-agent", action, resource);')
    )
    answer = await world.put(
        document(
            applications=[{"name": "orders-agent"}],
            policy='permit (principal == Application::"report-agent", action, resource);',
        )
    )
    assert answer.json()["reason"] == Reason.POLICY_INVALID
    assert len((await world.record()).applications) == 2


async def test_a_removed_application_is_revoked(world):
    first = await world.applied(document())
    await world.applied(document(applications=[{"name": "orders-agent"}]))
    ids = {entry["name"]: entry["id"] for entry in first["applications"]}
    assert world.removed == [(first["zone"]["id"], ids["report-agent"])]
    assert world.directory.application_zone(ids["report-agent"]) is None
    again = await world.applied(document())
    assert {entry["name"]: entry["id"] for entry in again["applications"]}["report-agent"] != ids[
        "report-agent"
    ]


async def test_a_brought_secret_replaces_a_generated_one_and_back(world):
    brought = [{"name": "orders-agent", "secret": "a secret that I brought"}]
    first = await world.applied(document(applications=[{"name": "orders-agent"}]))
    (application,) = first["applications"]
    taken = await world.applied(document(applications=brought))
    assert _changes(taken) == [("update", "application", "orders-agent", "secret")]
    assert "secret" not in taken["applications"][0]
    stored = world.directory.secret_hash(application["id"])
    assert await world.ports.brought.verify(stored, Secret("a secret that I brought"))
    back = await world.applied(document(applications=[{"name": "orders-agent"}]))
    assert back["applications"][0]["secret"] != application["secret"]


async def test_a_lost_secret_is_replaced_and_shown_once(world):
    first = await world.applied(document())
    (lost, _) = first["applications"]
    path = f"/v1/zones/shop/applications/{lost['id']}/secret"
    renewed = (await world.ask("POST", path)).json()
    assert (renewed["name"], renewed["id"]) == (lost["name"], lost["id"])
    stored = world.directory.secret_hash(lost["id"])
    assert matches_generated(Secret(renewed["secret"]), stored, PEPPER)
    assert not matches_generated(Secret(lost["secret"]), stored, PEPPER)
    entry = (await world.entries(first["zone"]["id"]))[-1]
    assert entry.detail == "update application orders-agent (secret)"
    assert (await world.applied(document()))["changes"] == []
    unknown = await world.ask("POST", "/v1/zones/shop/applications/none/secret")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, Reason.CLIENT_UNKNOWN)
    await world.applied(
        document(applications=[{"name": "orders-agent", "secret": "a secret that I brought"}])
    )
    brought = await world.ask("POST", path)
    assert (brought.status_code, brought.json()["reason"]) == (400, Reason.REQUEST_MALFORMED)


async def test_a_secret_that_was_renewed_with_an_overlap_counts_until_it_ends(world):
    first = await world.applied(document())
    (agent, _) = first["applications"]
    path = f"/v1/zones/shop/applications/{agent['id']}/secret"
    answer = await world.ask("POST", f"{path}?overlap_seconds=600")
    assert answer.status_code == 200, answer.text
    retiring = world.directory.retiring_secret(agent["id"])
    assert matches_generated(Secret(agent["secret"]), retiring.stored, PEPPER)
    assert timedelta(minutes=9) < retiring.until - datetime.now(UTC) <= timedelta(minutes=10)
    assert (await world.record()).retiring_secrets == {agent["id"]: retiring}
    entry = (await world.entries(first["zone"]["id"]))[-1]
    assert "; the one before counts until " in entry.detail

    await world.applied(document(policy=f"{PERMIT}\n"))
    assert (await world.record()).retiring_secrets == {agent["id"]: retiring}
    await world.ask("POST", path)
    assert world.directory.retiring_secret(agent["id"]) is None
    assert (await world.record()).retiring_secrets == {}
    for seconds in ("-1", "604801", "x"):
        refused = await world.ask("POST", f"{path}?overlap_seconds={seconds}")
        assert refused.status_code == 400


async def test_an_act_is_recorded_before_it_happens(world):
    answer = await world.applied(document())
    (entry,) = await world.entries(answer["zone"]["id"])
    assert (entry.kind, entry.verdict, entry.target) == (Kind.ZONE_APPLY, Verdict.ALLOW, "shop")
    assert entry.actor.startswith("first (")
    assert "create provider orders" in entry.detail
    assert len(entry.digest) == 64
    assert entry.policy == (await world.record()).policy.digest

    world.log.failing = True
    refused = await world.put(document(policy=None))
    assert (refused.status_code, refused.json()["reason"]) == (503, "evidence_unavailable")
    assert (await world.record()).revision == 1
    assert world.directory.zone(answer["zone"]["id"]).policy is not None


async def test_of_two_applies_at_once_one_is_refused(world):
    await world.applied(document())
    answers = await asyncio.gather(
        world.put(document(applications=[{"name": "orders-agent"}])),
        world.put(document(policy=None)),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["reason"] == Reason.ZONE_CHANGED
    assert (await world.record()).revision == 2


async def test_a_new_zone_is_made_once(world):
    answers = await asyncio.gather(*(world.put(document()) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(await world.zones.load_all()) == 1


async def test_a_changed_credential_is_the_one_that_is_sent(world):
    zone_id = (await world.applied(document()))["zone"]["id"]
    (before,) = (await world.record()).sealed_credentials.values()
    changed = [{"name": "orders", "kind": "bearer_token", "secret": "another key"}]
    await world.applied(document(providers=changed))
    (provider,) = (await world.record()).providers
    assert world.credentials.credential(zone_id, provider.id) == Secret("another key")
    assert (await world.record()).sealed_credentials[provider.id] != before


async def test_two_equal_credentials_do_not_look_equal_in_the_store(world):
    providers = [{"name": name, "kind": "bearer_token", "secret": "key"} for name in ("a", "b")]
    await world.applied(document(providers=providers, resources=[], policy=None))
    record = await world.record()
    assert len(set(record.credential_fingerprints.values())) == 2
    assert len(set(record.sealed_credentials.values())) == 2


async def test_a_zone_that_moved_since_it_was_looked_at_is_left_alone(world):
    await world.applied(document())
    answer = await world.put(document(policy=None), "?expected_revision=7")
    assert (answer.status_code, answer.json()["reason"]) == (409, Reason.ZONE_CHANGED)
    assert (await world.put(document(policy=None), "?expected_revision=1")).status_code == 200


async def test_another_process_that_was_faster_is_not_overwritten(world):
    """The store compares and swaps: whoever read an older revision loses."""
    await world.applied(document())
    record = await world.record()

    class Overtaken:
        """Zone keys that take so long that somebody else stores the zone meanwhile."""

        async def ensure(self, zone_id):
            await world.zones.save(replace(record, revision=2), expected_revision=1)

        async def rotate(self, zone_id):
            raise NotImplementedError

    slow = replace(world.control.apply, zone_keys=Overtaken())
    outcome = await slow(parse_document(document(policy=None)), Act("someone", "r-1"))
    assert outcome.reason is Reason.ZONE_CHANGED
    assert (await world.record()).policy is not None


async def test_a_zone_survives_a_restart(tmp_path):
    async with opened(tmp_path) as before:
        first = await before.applied(document())
        token = before.token
    async with opened(tmp_path) as after:
        assert after.token == token
        again = await after.applied(document())
        assert again["changes"] == []
        (provider,) = after.directory.zone(first["zone"]["id"]).providers
        assert after.credentials.credential(first["zone"]["id"], provider) is not None


async def test_an_apply_that_was_cut_off_after_storing_is_finished_by_the_next(world):
    """The record is stored but this process does not know it: the next apply installs it."""
    answer = await world.applied(document())
    record = await world.record()
    await world.zones.save(replace(record, revision=2, policy=None), expected_revision=1)
    again = await world.applied(document(policy=None))
    assert again["changes"] == []
    zone = world.directory.zone(answer["zone"]["id"])
    assert (zone.revision, zone.policy) == (2, None)


async def test_a_signing_key_is_rotated_and_recorded(world):
    zone_id = (await world.applied(document()))["zone"]["id"]
    before = world.signing.active(zone_id).kid
    rotated = await world.ask("POST", "/v1/zones/shop/keys/rotate")
    assert rotated.json() == {"id": zone_id, "name": "shop", "revision": 1}
    assert world.signing.active(zone_id).kid != before
    assert (await world.entries(zone_id))[-1].kind is Kind.KEY_ROTATE
    world.log.failing = True
    assert (await world.ask("POST", "/v1/zones/shop/keys/rotate")).status_code == 503


async def test_a_zone_is_shown_with_all_but_its_secrets(world):
    applied = await world.applied(document())
    by_name = (await world.ask("GET", "/v1/zones/shop")).json()
    assert (await world.ask("GET", f"/v1/zones/{applied['zone']['id']}")).json() == by_name
    assert by_name["providers"][0]["credential"] is True
    assert [entry["secret"] for entry in by_name["applications"]] == ["generated", "generated"]
    assert by_name["resources"][0]["operations"] == [
        {"method": "POST", "path": "/orders", "scope": "orders:write"},
        {"method": "GET", "path": "/orders/{id}", "scope": "orders:read"},
    ]
    assert by_name["policy"]["text"] == PERMIT
    (listed,) = (await world.ask("GET", "/v1/zones")).json()["items"]
    assert {**listed, **applied["zone"], "slug": "shop"} == listed
    assert (await world.ask("GET", "/v1/zones/none")).json()["reason"] == "zone_unknown"
    status = (await world.ask("GET", "/v1/status")).json()
    assert (status["version"], status["ready"], status["operators"]) == ("9.9.9", True, 1)
    assert status["zones"][0]["counts"] == {"sessions": 3}


async def test_an_issuer_of_users_changes_by_field_is_shown_and_goes_with_its_line(world):
    await world.applied(document(subject_issuers=[ISSUER]))
    shown = (await world.ask("GET", "/v1/zones/shop")).json()
    assert shown["subject_issuers"] == [ISSUER]
    [kept] = world.directory.zone(shown["id"]).subject_issuers.values()
    assert kept == SubjectIssuer(*ISSUER.values())

    answer = await world.applied(document(subject_issuers=[ISSUER | {"audience": "other"}]))
    assert _changes(answer) == [("update", "subject_issuer", "https://id.example", "audience")]
    answer = await world.applied(document())
    assert _changes(answer) == [("delete", "subject_issuer", "https://id.example")]
    assert not world.directory.zone(shown["id"]).subject_issuers


async def test_traits_are_shown_in_an_order_of_their_own(world):
    traits = ["team:b", "control:invoke", "control:scope:control:zone:read"]
    await world.applied(document(applications=[{"name": "a", "traits": traits}]))
    [shown] = (await world.ask("GET", "/v1/zones/shop")).json()["applications"]
    assert shown["traits"] == sorted(traits)
    again = await world.applied(document(applications=[{"name": "a", "traits": traits[::-1]}]))
    assert again["changes"] == []


async def test_expiry_is_kept_in_utc(world):
    await world.applied(
        document(applications=[{"name": "a", "expires_at": "2030-01-01T02:00:00+02:00"}])
    )
    (application,) = (await world.record()).applications
    assert application.expires_at == datetime(2030, 1, 1, tzinfo=UTC)


async def test_a_store_that_is_gone_is_told_as_such(world):
    await world.applied(document())
    (world.folder / "caracal.db").rename(world.folder / "moved.db")
    answer = await world.put(document(policy=None))
    assert (answer.status_code, answer.json()["reason"]) == (503, "store_unavailable")
    with pytest.raises(Unavailable):
        await world.zones.load_all()
