"""Delegations over the wire, as stock clients make, read and revoke them."""

from typing import Any

import pytest

from caracal.authority.identifiers import SessionId
from caracal.authority.zones import Application
from tests.coordinator.world import DATA, MAIL, NOON, ZONE, World, delegation_body, zone_record

ROW = "row-zone-1-data"


@pytest.fixture
async def cast(world: World) -> dict[str, str]:
    """Sessions and delegations that a new delegation can meet."""
    a, b, c, d, e = [await world.session() for _ in range(5)]
    foreign = await world.session("app-2")
    ended = await world.session()
    await world.ask("DELETE", f"/agents/{ended}")
    narrow = await world.delegation(
        a, b, constraints={"max_hops": 2, "ttl_seconds": 100, "budget": 1}, ttl_seconds=200
    )
    await world.delegation(a, d)
    await world.delegation(c, d)
    return {
        "a": a,
        "b": b,
        "c": c,
        "d": d,
        "e": e,
        "foreign": foreign,
        "ended": ended,
        "narrow": narrow,
    }


async def test_a_delegation_is_answered_with_what_stock_clients_read(world: World) -> None:
    source, target = await world.session(), await world.session("app-2")
    answer = await world.delegate(source, target, receiver="app-2")
    assert answer == {
        "delegation_edge_id": answer["delegation_edge_id"],
        "zone_id": ZONE,
        "source_session_id": source,
        "target_session_id": target,
        "issuer_application_id": "app-1",
        "receiver_application_id": "app-2",
        "parent_edge_id": None,
        "resource_id": answer["resource_id"],
        "scopes": ["read"],
        "constraints_json": {"resources": [DATA], "max_hops": 1, "ttl_seconds": 300},
        "status": "active",
        "expires_at": "2026-01-01T12:05:00.000Z",
        "edge_version": 0,
        "revoked_at": None,
        "created_at": "2026-01-01T12:00:00.000Z",
        "warnings": [],
        "allow_reason": [
            "same_zone_endpoints_active",
            "resource_scope_checked",
            "source_authority_root",
            "typed_constraints_validated",
        ],
        "effective_authority": {
            "source_session_id": source,
            "target_session_id": target,
            "parent_edge_id": None,
            "resource_id": answer["resource_id"],
            "resources": [DATA],
            "scopes": ["read"],
            "expires_at": "2026-01-01T12:05:00.000Z",
            "max_hops": 1,
            "ttl_seconds": 300,
            "broad": False,
            "parent_edges_considered": [],
        },
    }


@pytest.mark.parametrize(
    "naming",
    [
        {"resource_id": ROW},
        {"resource_id": None, "constraints": {"resources": [DATA]}},
        {"resource_id": ROW, "constraints": {"resources": [DATA]}},
        {"resource_id": None, "constraints_json": {"resources": [DATA]}},
    ],
)
async def test_a_resource_is_named_by_row_or_identifier(
    world: World, naming: dict[str, Any]
) -> None:
    source, target = await world.session(), await world.session()
    answer = await world.delegate(source, target, **naming)
    assert answer["effective_authority"]["resources"] == [DATA]


EXCEEDS = (403, "delegation_exceeds_parent_authority")
REFUSED: list[tuple[str, dict[str, Any], tuple[int, str]]] = [
    (
        "unknown constraint",
        {"constraints": {"max_calls": 1}},
        (400, "invalid_delegation_constraint"),
    ),
    ("bad hops", {"constraints": {"max_hops": 11}}, (400, "invalid_max_hops")),
    (
        "two depths",
        {"constraints": {"max_hops": 2, "max_depth": 3}},
        (400, "invalid_max_hops"),
    ),
    ("bad budget", {"constraints": {"budget": 0}}, (400, "invalid_budget")),
    ("bad resources", {"constraints": {"resources": []}}, (400, "invalid_resources")),
    ("bad ttl", {"constraints": {"ttl_seconds": 0}}, (400, "invalid_ttl_seconds")),
    ("bad expiry", {"constraints": {"expires_at": "soon"}}, (400, "invalid_expires_at")),
    ("bad approval", {"constraints": {"policy_approved": 1}}, (400, "invalid_policy_approved")),
    ("bad reason", {"constraints": {"broad_reason": ""}}, (400, "invalid_broad_reason")),
    ("bad depth", {"constraints": {"max_depth": 0}}, (400, "invalid_max_depth")),
    ("no source", {"source_session_id": None}, (400, "invalid_body")),
    ("no expiry", {"ttl_seconds": None}, (400, "delegation_expiry_required")),
    ("not the issuer", {"issuer_application_id": "app-2"}, (403, "issuer_ownership_required")),
    ("to itself", {"target_session_id": "c"}, (400, "self_delegation_denied")),
    ("broad", {"resource_id": None}, (403, "broad_delegation_permission_required")),
    ("ended source", {"source_session_id": "ended"}, (404, "delegation_endpoint_not_found")),
    ("ended target", {"target_session_id": "ended"}, (404, "delegation_endpoint_not_found")),
    (
        "not the source's application",
        {"source_session_id": "foreign"},
        (409, "delegation_application_mismatch"),
    ),
    (
        "not the target's application",
        {"target_session_id": "foreign"},
        (409, "delegation_application_mismatch"),
    ),
    ("unknown resource", {"resource_id": "resource://none"}, (404, "resource_not_found")),
    (
        "one unknown resource of two",
        {"resource_id": None, "constraints": {"resources": [DATA, "resource://none"]}},
        (404, "resource_not_found"),
    ),
    (
        "two forms that disagree",
        {"constraints": {"resources": [MAIL]}},
        (400, "delegation_resource_scope_mismatch"),
    ),
    (
        "two forms, one of them wider",
        {"constraints": {"resources": [DATA, MAIL]}},
        (400, "delegation_resource_scope_mismatch"),
    ),
    ("undeclared scope", {"scopes": ["send"]}, (403, "delegation_scopes_exceed_resource")),
    (
        "a parent that it never received",
        {"parent_edge_id": "nothing"},
        (403, "parent_delegation_not_active"),
    ),
    (
        "several parents",
        {"source_session_id": "d"},
        (409, "parent_delegation_ambiguous"),
    ),
    ("wider scopes", {"source_session_id": "b", "scopes": ["read", "write"]}, EXCEEDS),
    ("wider ttl", {"source_session_id": "b", "ttl_seconds": 101}, EXCEEDS),
    (
        "another resource",
        {"source_session_id": "b", "resource_id": MAIL, "scopes": ["send"]},
        (403, "delegation_exceeds_parent_authority"),
    ),
    (
        "more hops",
        {"source_session_id": "b", "ttl_seconds": 50, "constraints": {"max_hops": 2}},
        EXCEEDS,
    ),
    (
        "later end",
        {"source_session_id": "b", "ttl_seconds": 300, "constraints": {"ttl_seconds": 50}},
        EXCEEDS,
    ),
    (
        "more budget",
        {"source_session_id": "b", "ttl_seconds": 50, "constraints": {"budget": 2}},
        EXCEEDS,
    ),
    (
        "a circle",
        {"source_session_id": "b", "target_session_id": "a", "ttl_seconds": 50},
        (409, "delegation_cycle_denied"),
    ),
    (
        "in the past",
        {"ttl_seconds": None, "expires_at": "2026-01-01T11:59:59Z"},
        (400, "delegation_expired"),
    ),
    ("not a scope", {"scopes": ["two words"]}, (400, "invalid_body")),
]


async def test_a_delegation_is_refused_with_the_code_of_its_cause(
    world: World, cast: dict[str, str]
) -> None:
    count = len(world.graph._index.delegations)
    for cause, changes, (status, code) in REFUSED:
        stated = {
            key: value if isinstance(value, list | dict | int | None) else cast.get(value, value)
            for key, value in changes.items()
        }
        body = delegation_body(cast["c"], cast["e"]) | stated
        answer = await world.ask(
            "POST", "/delegations", {key: value for key, value in body.items() if value is not None}
        )
        assert (answer.status_code, answer.json()["error"]) == (status, code), cause
    assert len(world.graph._index.delegations) == count


async def test_a_bad_constraint_is_named(world: World, cast: dict[str, str]) -> None:
    body = delegation_body(cast["a"], cast["c"], constraints={"budget": 65})
    answer = (await world.ask("POST", "/delegations", body)).json()
    assert answer["details"]["issues"][0]["path"] == ["constraints", "budget"]


async def test_what_is_handed_on_is_narrowed_from_what_was_received(
    world: World, cast: dict[str, str]
) -> None:
    answer = await world.delegate(cast["b"], cast["c"], ttl_seconds=50, constraints={"budget": 1})
    assert answer["parent_edge_id"] == cast["narrow"]
    assert "parent_authority_narrowed" in answer["allow_reason"]


async def test_only_an_operator_delegates_without_naming_resources(world: World) -> None:
    source, target = await world.session(), await world.session()
    answer = await world.ask(
        "POST",
        "/delegations",
        delegation_body(source, target, resource_id=None, constraints={"broad_reason": "drill"}),
        token="operator-write",
    )
    assert answer.status_code == 201
    assert answer.json()["warnings"] == ["resource_null_delegation_broadens_resource_matching"]
    assert answer.json()["constraints_json"]["broad_reason"] == "drill"
    entry = (await world.entries(session=source))[-1]
    assert (entry.actor, entry.subject, entry.application) == (
        "ada (op-1)",
        "caracal-operator",
        "app-1",
    )


async def test_who_made_and_who_received_a_delegation_finds_it(world: World) -> None:
    source, target = await world.session(), await world.session("app-2")
    edge = await world.delegation(source, target, receiver="app-2")
    theirs = world.bearer("app-2")

    async def listed(path: str, token: str | None = None) -> list[str]:
        page = (await world.ask("GET", f"/delegations/{path}", token=token)).json()
        assert page["next_cursor"] is None
        return [item["id"] for item in page["items"]]

    assert await listed("active") == [edge]
    assert await listed("active", theirs) == [edge]
    assert await listed("active", "operator-read") == [edge]
    assert await listed(f"outbound/{source}") == [edge]
    assert await listed(f"inbound/{target}", theirs) == [edge]
    for path, token in ((f"inbound/{target}", None), (f"outbound/{source}", theirs)):
        answer = await world.ask("GET", f"/delegations/{path}", token=token)
        assert (answer.status_code, answer.json()["error"]) == (404, "session_not_found")


async def test_a_list_of_delegations_goes_newest_first_page_by_page(world: World) -> None:
    source, target = await world.session(), await world.session()
    made = [await world.delegation(source, target) for _ in range(3)]
    first = (await world.ask("GET", "/delegations/active?limit=2")).json()
    assert [item["id"] for item in first["items"]] == made[:0:-1]
    rest = (
        await world.ask("GET", f"/delegations/active?limit=2&cursor={first['next_cursor']}")
    ).json()
    assert [item["id"] for item in rest["items"]] == made[:1]
    assert rest["next_cursor"] is None


async def test_the_receiver_asks_whether_a_delegation_holds(world: World) -> None:
    source, target = await world.session(), await world.session("app-2")
    edge = await world.delegation(source, target, receiver="app-2")
    theirs = world.bearer("app-2")
    path = f"/delegations/inbound/{target}/{edge}"
    assert (await world.ask("GET", path, token=theirs)).json() == {"id": edge, "status": "active"}
    for other, token in (
        (path, None),
        (f"/delegations/inbound/{source}/{edge}", theirs),
        (f"/delegations/inbound/{target}/nothing", theirs),
    ):
        answer = await world.ask("GET", other, token=token)
        assert (answer.status_code, answer.json()["error"]) == (404, "delegation_not_found")
    world.clock.move(seconds=300)
    late = await world.ask("GET", path, token=world.bearer("app-2"))
    assert late.status_code == 404


async def test_a_revocation_takes_all_that_rests_on_it_along(world: World) -> None:
    a, b, c, d = [await world.session() for _ in range(4)]
    first = await world.delegation(a, b, constraints={"max_hops": 3})
    second = await world.delegation(b, c, constraints={"max_hops": 2})
    below = await world.session(parent_id=c, parent_authority="none")
    untouched = await world.delegation(a, d)
    answer = await world.ask("PATCH", f"/delegations/{first}/revoke")
    assert (answer.status_code, answer.json()) == (
        200,
        {"revoked_edges": 2, "affected_sessions": 1, "terminated_sessions": 3},
    )
    page = (await world.ask("GET", "/agents?status=terminated")).json()["items"]
    assert {item["agent_session_id"] for item in page} == {b, c, below}
    active = (await world.ask("GET", "/delegations/active")).json()["items"]
    assert [item["id"] for item in active] == [untouched]
    again = await world.ask("PATCH", f"/delegations/{first}/revoke")
    assert (again.status_code, again.json()["error"]) == (404, "delegation_not_found")
    entry = (await world.entries(session=a))[-2]
    assert (entry.kind, entry.verdict) == ("delegation.create", "allow")
    revoked = next(e for e in await world.entries() if e.kind == "delegation.revoke")
    assert (revoked.target, revoked.delegations, revoked.detail) == (
        first,
        (first, second),
        "3 sessions and 2 delegations",
    )


async def test_only_the_issuer_or_an_operator_revokes(world: World) -> None:
    source, target = await world.session(), await world.session("app-2")
    edge = await world.delegation(source, target, receiver="app-2")
    path = f"/delegations/{edge}/revoke"
    theirs = await world.ask("PATCH", path, token=world.bearer("app-2"))
    assert (theirs.status_code, theirs.json()["error"]) == (403, "issuer_ownership_required")
    assert world.graph.delegation(edge) is not None
    assert (await world.ask("PATCH", path, token="operator-write")).status_code == 200


async def test_operators_see_what_a_revocation_would_reach(world: World) -> None:
    a, b, c = [await world.session() for _ in range(3)]
    first = await world.delegation(a, b, constraints={"max_hops": 3})
    second = await world.delegation(b, c)
    edges = [
        {"id": first, "source_session_id": a, "target_session_id": b, "depth": 0},
        {"id": second, "source_session_id": b, "target_session_id": c, "depth": 1},
    ]
    traversed = await world.ask("GET", f"/delegations/{first}/traverse", token="operator-read")
    assert traversed.json() == edges
    impact = await world.ask("GET", f"/delegations/{first}/impact", token="operator-read")
    assert impact.json() == {
        "edge_id": first,
        "affected_edges": edges,
        "affected_sessions": [b, c],
        "affected_authority_records": ["record-1"],
    }
    for path in ("traverse", "impact"):
        answer = await world.ask("GET", f"/delegations/{first}/{path}")
        assert (answer.status_code, answer.json()["error"]) == (403, "coordinator_admin_required")
        answer = await world.ask("GET", f"/delegations/no/{path}", token="operator-read")
        assert (answer.status_code, answer.json()["error"]) == (404, "delegation_not_found")


async def test_a_refused_delegation_is_recorded_with_what_it_asked_for(world: World) -> None:
    source, target = await world.session(), await world.session()
    await world.ask("POST", "/delegations", delegation_body(source, target, scopes=["send"]))
    entry = (await world.entries(session=source))[-1]
    assert (entry.kind, entry.verdict, entry.reason) == (
        "delegation.create",
        "refuse",
        "delegation_scopes_exceed_resource",
    )
    assert (entry.scopes, entry.resource, entry.target) == ("send", DATA, target)


@pytest.mark.parametrize(
    "receiving",
    [
        (),
        (Application("app-2", "two", enabled=False),),
        (Application("app-2", "two", expires_at=NOON),),
    ],
    ids=["removed", "disabled", "expired"],
)
async def test_nothing_is_handed_to_an_application_that_is_not_usable(
    world: World, receiving: tuple[Application, ...]
) -> None:
    source, target = await world.session(), await world.session("app-2")
    world.zones.install(zone_record(ZONE, Application("app-1", "one"), *receiving))
    body = delegation_body(source, target, receiver="app-2")
    answer = await world.ask("POST", "/delegations", body)
    assert (answer.status_code, answer.json()["error"]) == (404, "application_not_found")
    assert world.graph.outbound(SessionId(source), NOON) == ()
