"""Sessions over the wire, as stock clients start, read, pause and end them."""

from datetime import timedelta
from typing import Any

import pytest

from caracal.authority.graph import GraphLimits
from caracal_server.coordinator.settings import CoordinatorSettings
from tests.coordinator.world import ISSUER, RECORD, ZONE, World, opened

START = "2026-01-01T12:00:00.000Z"


async def test_a_start_is_answered_with_what_stock_clients_read(world: World) -> None:
    parent = await world.session()
    answer = await world.start(
        parent_id=parent, labels=["researcher"], ttl_seconds=600, metadata={"task": "sum"}
    )
    assert answer == {
        "agent_session_id": answer["agent_session_id"],
        "zone_id": ZONE,
        "application_id": "app-1",
        "parent_id": parent,
        "subject_authority_record_id": RECORD,
        "lifecycle": "task",
        "labels": ["researcher"],
        "status": "active",
        "depth": 1,
        "ttl_seconds": 600,
        "started_at": START,
        "last_heartbeat_at": None,
        "heartbeat_deadline_at": None,
        "lease_generation": 0,
        "delegation_edge_id": None,
    }


async def test_what_an_application_wrote_about_a_session_no_other_application_reads(
    world: World,
) -> None:
    parent = await world.session()
    child = await world.session(parent_id=parent, labels=["audit"], metadata={"task": "sum"})
    views = (f"/agents/{child}", "/agents?application_id=app-1", f"/agents/{parent}/children")
    for token, told in (
        (world.bearer("app-2"), ([], {})),
        (world.bearer("app-1"), (["audit"], {"task": "sum"})),
        ("operator-read", (["audit"], {"task": "sum"})),
    ):
        for path in views:
            answer = (await world.ask("GET", path, token=token)).json()
            items = answer.get("items", [answer])
            (item,) = (entry for entry in items if entry["agent_session_id"] == child)
            assert (item["labels"], item["metadata"]) == told, path


async def test_other_applications_sessions_are_not_found_by_label(world: World) -> None:
    await world.session(labels=["audit"])
    own = await world.session("app-2", labels=["audit"])
    for query, found in (
        ("", [own]),
        ("&application_id=app-1", []),
        ("&application_id=app-2", [own]),
    ):
        answer = await world.ask("GET", f"/agents?label=audit{query}", token=world.bearer("app-2"))
        assert [item["agent_session_id"] for item in answer.json()["items"]] == found, query
    everything = await world.ask("GET", "/agents?label=audit", token="operator-read")
    assert len(everything.json()["items"]) == 2


async def test_a_service_starts_with_a_lease_of_two_minutes(world: World) -> None:
    answer = await world.start(lifecycle="service")
    assert answer["lease_generation"] == 1
    assert answer["heartbeat_deadline_at"] == "2026-01-01T12:02:00.000Z"
    assert answer["ttl_seconds"] is None


async def test_members_that_mean_nothing_here_are_dropped(world: World) -> None:
    assert await world.start(subject_token="of another server", subject_session_id=RECORD)


async def test_a_child_takes_along_what_its_parent_received(world: World) -> None:
    giver, parent = await world.session(), await world.session()
    held = await world.delegation(giver, parent, constraints={"max_hops": 3})
    child = await world.start(parent_id=parent)
    inherited = child["delegation_edge_id"]
    assert world.graph.delegation(inherited).parent_id == held
    alone = await world.start(parent_id=parent, parent_authority="none")
    assert alone["delegation_edge_id"] is None


STARTS_REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("no application", {"application_id": None}, 400, "invalid_body"),
    ("not its own application", {"application_id": "app-2"}, 403, "application_ownership_required"),
    ("another record", {"subject_session_id": "other"}, 404, "session_not_found"),
    ("unknown parent", {"parent_id": "nobody"}, 404, "parent_not_found"),
    ("parent that has ended", {"parent_id": "ended"}, 404, "parent_not_found"),
    ("parent that is suspended", {"parent_id": "suspended"}, 404, "parent_not_found"),
    ("foreign parent", {"parent_id": "foreign"}, 403, "parent_ownership_required"),
    (
        "service under a task",
        {"parent_id": "task", "lifecycle": "service"},
        409,
        "task_session_cannot_start_service",
    ),
    ("too many children", {"parent_id": "full"}, 429, "session_children_limit_exceeded"),
    ("too deep", {"parent_id": "deep"}, 429, "session_depth_limit_exceeded"),
    (
        "what it names is not live",
        {"parent_id": "received", "inherit_parent_edge_id": "nothing"},
        409,
        "inherit_parent_edge_not_active",
    ),
    ("several to inherit", {"parent_id": "received"}, 409, "inherit_parent_edge_ambiguous"),
    ("a service with a ttl", {"lifecycle": "service", "ttl_seconds": 9}, 400, "invalid_body"),
    ("ttl of 0", {"ttl_seconds": 0}, 400, "invalid_body"),
    ("ttl of more than a day", {"ttl_seconds": 86_401}, 400, "invalid_body"),
    ("33 labels", {"labels": ["x"] * 33}, 400, "invalid_body"),
    ("a label of 65", {"labels": ["x" * 65]}, 400, "invalid_body"),
    ("an id that is none", {"parent_id": "a/b"}, 400, "invalid_body"),
    ("a list", {"metadata": []}, 400, "invalid_body"),
]


async def _cast(world: World) -> dict[str, str]:
    """Sessions in every state that a start can meet."""
    cast = {"ended": await world.session(), "suspended": await world.session()}
    await world.ask("DELETE", f"/agents/{cast['ended']}")
    await world.ask("PATCH", f"/agents/{cast['suspended']}/suspend")
    cast["foreign"] = await world.session("app-2")
    cast["task"] = await world.session()
    cast["full"] = await world.session()
    for _ in range(3):
        await world.session(parent_id=cast["full"])
    cast["deep"] = cast["task"]
    for _ in range(2):
        cast["deep"] = await world.session(parent_id=cast["deep"])
    cast["received"] = await world.session()
    for _ in range(2):
        await world.delegation(cast["task"], cast["received"])
    return cast


async def test_a_start_is_refused_with_the_code_of_its_cause(tmp_path) -> None:
    limits = GraphLimits(children_per_session=3, depth=2)
    async with opened(tmp_path, CoordinatorSettings(ISSUER, limits)) as world:
        cast = await _cast(world)
        before = {row.id for row in await _all_sessions(world)}
        for cause, body, status, code in STARTS_REFUSED:
            named = {key: cast.get(str(value), value) for key, value in body.items()}
            answer = await world.ask("POST", "/agents", {"application_id": "app-1"} | named)
            assert (answer.status_code, answer.json()["error"]) == (status, code), cause
            assert answer.json()["requestId"] == answer.headers["x-request-id"], cause
        assert {row.id for row in await _all_sessions(world)} == before


async def _all_sessions(world: World) -> Any:
    return (await world.stored()).graph(ZONE)._index.sessions.values()


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (GraphLimits(sessions_per_zone=1), "session_zone_limit_exceeded"),
        (GraphLimits(sessions_per_application=1), "session_limit_exceeded"),
    ],
)
async def test_a_limit_that_is_reached_is_named(tmp_path, limits: GraphLimits, code: str) -> None:
    async with opened(tmp_path, CoordinatorSettings(ISSUER, limits)) as world:
        await world.session()
        answer = await world.ask("POST", "/agents", {"application_id": "app-1"})
        assert (answer.status_code, answer.json()["error"]) == (429, code)


async def test_a_session_is_read_with_its_metadata_and_end(world: World) -> None:
    session = await world.session(metadata={"task": "sum", "n": 1.5})
    item = (await world.ask("GET", f"/agents/{session}")).json()
    assert item["metadata"] == {"task": "sum", "n": 1.5}
    assert (item["terminated_at"], item["termination_reason"]) == (None, None)
    assert "delegation_edge_id" not in item
    await world.ask("DELETE", f"/agents/{session}?reason=done")
    item = (await world.ask("GET", f"/agents/{session}")).json()
    assert (item["status"], item["terminated_at"], item["termination_reason"]) == (
        "terminated",
        START,
        "done",
    )
    gone = await world.ask("GET", "/agents/nobody")
    assert (gone.status_code, gone.json()["error"]) == (404, "session_not_found")


async def test_lists_go_newest_first_page_by_page(world: World) -> None:
    made = [await world.session() for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await world.ask("GET", f"/agents?limit=2{cursor}")).json()
        seen += [item["agent_session_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]


async def test_lists_are_filtered(world: World) -> None:
    root = await world.session(labels=["a"])
    service = await world.session(lifecycle="service")
    foreign = await world.session("app-2", labels=["a"])
    ended = await world.session()
    await world.ask("DELETE", f"/agents/{ended}")
    child = await world.session(parent_id=root)

    async def listed(query: str) -> set[str]:
        page = (await world.ask("GET", f"/agents{query}")).json()
        return {item["agent_session_id"] for item in page["items"]}

    assert await listed("?status=terminated") == {ended}
    assert await listed("?lifecycle=service") == {service}
    assert await listed("?application_id=app-2") == {foreign}
    assert await listed("?label=a") == {root}
    assert await listed("?label=a&application_id=app-1") == {root}
    assert await listed(f"/{root}/children") == {child}
    nobody = await world.ask("GET", "/agents/nobody/children")
    assert nobody.json()["error"] == "session_not_found"


READS_REFUSED = [
    ("/agents?limit=0", "invalid_query"),
    ("/agents?limit=501", "invalid_query"),
    ("/agents?limit=x", "invalid_query"),
    ("/agents?status=asleep", "invalid_query"),
    ("/agents?limit=1&limit=2", "invalid_query"),
    ("/agents?cursor=nobody", "invalid_cursor"),
    ("/agents?cursor=%20", "invalid_cursor"),
    ("/delegations/active?cursor=%20", "invalid_cursor"),
    ("/agents/a b", "invalid_params"),
    (f"/agents/{'x' * 129}", "invalid_params"),
]


async def test_what_a_read_can_not_be_asked_is_refused(world: World) -> None:
    for path, code in READS_REFUSED:
        answer = await world.ask("GET", path)
        assert (answer.status_code, answer.json()["error"]) == (400, code), path


async def test_a_subtree_is_suspended_and_resumed_as_one(world: World) -> None:
    root = await world.session()
    child = await world.session(parent_id=root)
    await world.session(parent_id=child)
    answer = await world.ask("PATCH", f"/agents/{root}/suspend")
    assert (answer.status_code, answer.json()) == (200, {"suspended": 3})
    again = await world.ask("PATCH", f"/agents/{root}/suspend")
    assert (again.status_code, again.json()["error"]) == (409, "session_not_found_or_not_active")
    answer = await world.ask("PATCH", f"/agents/{root}/resume")
    assert (answer.status_code, answer.json()) == (200, {"resumed": 3})
    again = await world.ask("PATCH", f"/agents/{root}/resume")
    assert again.json()["error"] == "session_not_found_or_not_suspended"


async def test_ending_a_session_takes_all_below_it_along(world: World) -> None:
    root = await world.session()
    child = await world.session(parent_id=root)
    answer = await world.ask("DELETE", f"/agents/{root}")
    assert (answer.status_code, answer.content) == (204, b"")
    items = (await world.ask("GET", "/agents")).json()["items"]
    assert {item["agent_session_id"]: item["termination_reason"] for item in items} == {
        root: "requested",
        child: "parent_terminated",
    }
    again = await world.ask("DELETE", f"/agents/{root}")
    assert (again.status_code, again.json()["error"]) == (404, "session_not_found")


STEPS = [
    ("PATCH", "/suspend", None),
    ("PATCH", "/resume", None),
    ("DELETE", "", None),
    ("POST", "/lease", None),
    ("POST", "/heartbeat", {"lease_generation": 1}),
]


@pytest.mark.parametrize(("method", "step", "body"), STEPS)
async def test_only_the_owner_takes_a_step(world: World, method: str, step: str, body: Any) -> None:
    theirs = await world.session("app-2", lifecycle="service")
    answer = await world.ask(method, f"/agents/{theirs}{step}", body)
    assert (answer.status_code, answer.json()["error"]) == (403, "application_ownership_required")
    assert world.graph.session(theirs).version == 1
    nobody = await world.ask(method, f"/agents/nobody{step}", body)
    assert (nobody.status_code, nobody.json()["error"]) == (404, "session_not_found")


@pytest.mark.parametrize(
    ("method", "step", "code"),
    [
        ("PATCH", "/suspend", "session_not_found_or_not_active"),
        ("PATCH", "/resume", "session_not_found_or_not_suspended"),
        ("DELETE", "", "session_not_found"),
        ("POST", "/lease", "session_not_live"),
        ("POST", "/heartbeat", "session_not_live"),
    ],
)
async def test_a_session_that_ended_takes_no_step(
    world: World, method: str, step: str, code: str
) -> None:
    service = await world.session(lifecycle="service")
    await world.ask("DELETE", f"/agents/{service}", {"lease_generation": 1})
    body = {"lease_generation": 1} if step == "/heartbeat" else None
    answer = await world.ask(method, f"/agents/{service}{step}", body)
    assert answer.json()["error"] == code
    foreign = await world.ask(method, f"/agents/{service}{step}", body, token=world.bearer("app-2"))
    assert foreign.json()["error"] in {"session_not_found", "application_ownership_required"}


async def test_a_heartbeat_renews_the_lease(world: World) -> None:
    service = await world.session(lifecycle="service")
    world.clock.move(seconds=60)
    answer = await world.ask(
        "POST", f"/agents/{service}/heartbeat", {"status": "healthy", "lease_generation": 1}
    )
    beat = "2026-01-01T12:01:00.000Z"
    assert answer.json() == {
        "agent": {
            "id": service,
            "zone_id": ZONE,
            "application_id": "app-1",
            "status": "active",
            "last_active_at": beat,
            "last_heartbeat_at": beat,
            "heartbeat_deadline_at": "2026-01-01T12:03:00.000Z",
            "lease_generation": 1,
        },
        "service": None,
        "active_invocations": 0,
    }


async def test_taking_the_lease_fences_off_its_holder(world: World) -> None:
    service = await world.session(lifecycle="service")
    taken = await world.ask("POST", f"/agents/{service}/lease")
    assert taken.json() == {
        "status": "active",
        "heartbeat_deadline_at": "2026-01-01T12:02:00.000Z",
        "lease_generation": 2,
    }
    for method, path in (("POST", "/heartbeat"), ("DELETE", "")):
        fenced = await world.ask(method, f"/agents/{service}{path}", {"lease_generation": 1})
        assert (fenced.status_code, fenced.json()["error"]) == (409, "session_lease_fenced")
    unnamed = await world.ask("DELETE", f"/agents/{service}")
    assert (unnamed.status_code, unnamed.json()["error"]) == (400, "lease_generation_required")
    assert (
        await world.ask("DELETE", f"/agents/{service}", {"lease_generation": 2})
    ).status_code == 204


async def test_a_lease_is_refused_with_the_code_of_its_cause(world: World) -> None:
    task, service = await world.session(), await world.session(lifecycle="service")

    async def code(path: str, body: Any = None) -> tuple[int, str]:
        answer = await world.ask("POST", path, body)
        return answer.status_code, answer.json()["error"]

    beat = {"lease_generation": 1}
    assert await code(f"/agents/{task}/lease") == (409, "session_not_service")
    assert await code(f"/agents/{task}/heartbeat", beat) == (409, "session_not_service")
    assert await code(f"/agents/{service}/heartbeat", {}) == (400, "lease_generation_required")
    await world.ask("PATCH", f"/agents/{service}/suspend")
    assert await code(f"/agents/{service}/lease") == (409, "session_suspended")
    beaten = await world.ask("POST", f"/agents/{service}/heartbeat", beat)
    assert beaten.json()["agent"]["status"] == "suspended"
    world.clock.move(seconds=120)
    assert await code(f"/agents/{service}/lease") == (409, "session_lease_expired")
    assert await code(f"/agents/{service}/heartbeat", beat) == (409, "session_lease_expired")


async def test_effective_authority_is_what_all_delegations_allow_together(world: World) -> None:
    giver, taker = await world.session(), await world.session()
    nothing = (await world.ask("GET", f"/agents/{taker}/effective-authority")).json()
    assert (nothing["inbound_edges"], nothing["effective_scopes"]) == ([], [])
    first = await world.delegation(giver, taker, scopes=["read", "write"])
    second = await world.delegation(giver, taker, scopes=["read"], ttl_seconds=60)
    held = (await world.ask("GET", f"/agents/{taker}/effective-authority")).json()
    assert held["inbound_edges"] == [first, second]
    assert held["effective_scopes"] == ["read"]
    assert held["earliest_expires_at"] == "2026-01-01T12:01:00.000Z"
    foreign = await world.ask(
        "GET", f"/agents/{taker}/effective-authority", token=world.bearer("app-2")
    )
    assert (foreign.status_code, foreign.json()["error"]) == (404, "session_not_found")


async def test_every_act_and_every_refusal_is_recorded(world: World) -> None:
    session = await world.session(ttl_seconds=60)
    await world.ask("PATCH", f"/agents/{session}/suspend")
    await world.ask("PATCH", f"/agents/{session}/resume")
    await world.ask("POST", f"/agents/{session}/lease")
    await world.ask("DELETE", f"/agents/{session}?reason=done", headers={"x-request-id": "req-9"})
    assert await world.acts(session=session) == [
        ("session.start", "allow", ""),
        ("session.suspend", "allow", "requested"),
        ("session.resume", "allow", "requested"),
        ("session.lease", "refuse", "session_not_service"),
        ("session.end", "allow", "done"),
    ]
    ended = (await world.entries(request="req-9"))[0]
    assert (ended.application, ended.application_name, ended.subject, ended.mandate) == (
        "app-1",
        "one",
        "app-1",
        "mandate-app-1",
    )
    assert ended.detail == "1 sessions and 0 delegations"
    assert ended.expires_at == int((world.clock.now() + timedelta(seconds=60)).timestamp())


async def test_heartbeats_are_stored_and_not_recorded(world: World) -> None:
    service = await world.session(lifecycle="service")
    world.clock.move(seconds=1)
    await world.ask("POST", f"/agents/{service}/heartbeat", {"lease_generation": 1})
    assert [kind for kind, *_ in await world.acts(session=service)] == ["session.start"]
    restarted = (await world.stored()).graph(ZONE).session(service)
    assert restarted.last_heartbeat_at == world.clock.now()
