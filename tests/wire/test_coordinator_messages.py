import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.constraints import Constraints
from caracal.authority.delegation import Delegation, DelegationStatus
from caracal.authority.grants import Grant
from caracal.authority.outcomes import Reason
from caracal.authority.scopes import ScopeSet
from caracal.authority.session_rules import ParentAuthority
from caracal.authority.sessions import Lifecycle, Session, Status
from caracal.authority.subjects import User
from caracal.wire.delegations import (
    CreateDelegationBody,
    parse_create_delegation,
    render_created_delegation,
    render_delegation_status,
    render_delegations,
    render_impact,
    render_revoked,
    render_traversal,
)
from caracal.wire.errors import WireError
from caracal.wire.instants import parse_instant, render_instant
from caracal.wire.sessions import (
    Health,
    StartSessionBody,
    parse_end,
    parse_heartbeat,
    parse_start_session,
    render_effective_authority,
    render_heartbeat,
    render_lease,
    render_resumed,
    render_session,
    render_sessions,
    render_started_session,
    render_suspended,
)
from caracal.wire.subjects import parse_revoke_subject, render_revoked_subject

NOW = datetime(2026, 8, 1, 10, 0, 0, 123_456, tzinfo=UTC)
TEXT = "2026-08-01T10:00:00.123Z"

TASK = Session(
    id="C",
    zone_id="z",
    application_id="app-1",
    path=("P", "C"),
    record="r1",
    lifecycle=Lifecycle.TASK,
    labels=("researcher",),
    status=Status.ACTIVE,
    started_at=NOW,
    ttl=timedelta(seconds=600),
    metadata='{"task":"summarise"}',
)
SERVICE = Session(
    id="S",
    zone_id="z",
    application_id="app-1",
    path=("S",),
    record="r1",
    lifecycle=Lifecycle.SERVICE,
    labels=(),
    status=Status.TERMINATED,
    started_at=NOW,
    ttl=None,
    lease_expires_at=NOW + timedelta(seconds=120),
    lease_generation=3,
    last_heartbeat_at=NOW,
    ended_at=NOW,
    end_reason="requested",
)


def delegation(constraints: Constraints, **changes) -> Delegation:
    values = {
        "id": "E",
        "zone_id": "z",
        "source": "P",
        "target": "C",
        "issuer": "app-1",
        "receiver": "app-1",
        "path": ("E",),
        "chain": (),
        "grant": Grant(ScopeSet.of("write", "read"), constraints, NOW + timedelta(seconds=300)),
        "status": DelegationStatus.ACTIVE,
        "created_at": NOW,
    }
    return Delegation(**(values | changes))


BOUND = delegation(Constraints(frozenset({"res://a"}), max_ttl=timedelta(seconds=300), budget=2))
BROAD = delegation(Constraints(None, hops=3), id="E2", path=("E", "E2"))


def refusal(parse, body: object) -> WireError:
    with pytest.raises(WireError) as refused:
        parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    return refused.value


def test_a_start_with_every_member_is_read():
    body = {
        "application_id": "app-1",
        "subject_session_id": "r9",
        "parent_id": "P",
        "lifecycle": "task",
        "labels": ["a", "b"],
        "ttl_seconds": 600,
        "parent_authority": "none",
        "inherit_parent_edge_id": "E",
        "metadata": {"task": "summarise", "n": 1.50},
        "subject_token": "a.b.c",
    }
    assert parse_start_session(json.dumps(body).encode()) == StartSessionBody(
        application_id="app-1",
        subject_session_id="r9",
        parent_id="P",
        lifecycle=Lifecycle.TASK,
        labels=("a", "b"),
        ttl=timedelta(seconds=600),
        parent_authority=ParentAuthority.NONE,
        inherit_parent_edge_id="E",
        metadata='{"task":"summarise","n":1.5}',
        subject_token=b"a.b.c",
    )


def test_a_subject_token_is_not_shown():
    read = parse_start_session(b'{"application_id":"app-1","subject_token":"a.planted.c"}')
    assert read.subject_token == b"a.planted.c"
    assert "planted" not in repr(read)


def test_a_start_needs_an_application_only():
    read = parse_start_session(b'{"application_id":"app-1","parent_id":null}')
    assert (read.parent_id, read.ttl, read.labels, read.metadata) == (None, None, (), "{}")
    assert (read.lifecycle, read.parent_authority) == (Lifecycle.TASK, ParentAuthority.INHERIT)


STARTS = {
    "nothing": (b"", ""),
    "not JSON": (b"{", ""),
    "not UTF-8": (b'{"application_id":"\xff"}', ""),
    "bottomless": (b'{"metadata":' + b'{"a":' * 3000, ""),
    "a list": ([], ""),
    "no application": ({}, ""),
    "application of another type": ({"application_id": 1}, "application_id"),
    "unusable application": ({"application_id": "a b"}, "application_id"),
    "unusable parent": ({"application_id": "a", "parent_id": ""}, "parent_id"),
    "unusable record": ({"application_id": "a", "subject_session_id": "/"}, "subject_session_id"),
    "unusable edge": ({"application_id": "a", "inherit_parent_edge_id": "/"}, "inherit_parent_edge_id"),
    "lifecycle": ({"application_id": "a", "lifecycle": "daemon"}, "lifecycle"),
    "authority": ({"application_id": "a", "parent_authority": "all"}, "parent_authority"),
    "no seconds": ({"application_id": "a", "ttl_seconds": 0}, "ttl_seconds"),
    "too many seconds": ({"application_id": "a", "ttl_seconds": 86_401}, "ttl_seconds"),
    "true seconds": ({"application_id": "a", "ttl_seconds": True}, "ttl_seconds"),
    "service with ttl": ({"application_id": "a", "lifecycle": "service", "ttl_seconds": 9}, "ttl_seconds"),
    "many labels": ({"application_id": "a", "labels": ["x"] * 33}, "labels"),
    "empty label": ({"application_id": "a", "labels": [""]}, "labels[0]"),
    "long label": ({"application_id": "a", "labels": ["x" * 65]}, "labels[0]"),
    "metadata": ({"application_id": "a", "metadata": []}, "metadata"),
    "subject token": ({"application_id": "a", "subject_token": "a.b.\u00e9"}, "subject_token"),
    "subject token of another type": ({"application_id": "a", "subject_token": 7}, "subject_token"),
    "much metadata": ({"application_id": "a", "metadata": {"x": "y" * 16_384}}, "metadata"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "member"), STARTS.values(), ids=STARTS)
def test_a_bad_start_names_the_member(body, member):
    error = refusal(parse_start_session, body)
    assert (error.field, error.code) == (member, "invalid_body")
    assert member in error.description


def test_a_task_is_answered_with_its_names_on_the_wire():
    answer = json.loads(render_started_session(TASK, None))
    expected = {
        "agent_session_id": "C",
        "zone_id": "z",
        "application_id": "app-1",
        "parent_id": "P",
        "subject_authority_record_id": "r1",
        "lifecycle": "task",
        "labels": ["researcher"],
        "status": "active",
        "depth": 1,
        "ttl_seconds": 600,
        "started_at": TEXT,
        "last_heartbeat_at": None,
        "heartbeat_deadline_at": None,
        "lease_generation": 0,
    }
    item = {
        "terminated_at": None,
        "termination_reason": None,
        "metadata": {"task": "summarise"},
    }
    assert answer == expected | {"delegation_edge_id": None}
    assert json.loads(render_started_session(TASK, "E"))["delegation_edge_id"] == "E"
    assert json.loads(render_session(TASK)) == expected | item


def test_a_service_is_answered_with_its_lease_and_end():
    answer = json.loads(render_session(SERVICE))
    assert answer["ttl_seconds"] is None
    assert answer["parent_id"] is None
    assert answer["heartbeat_deadline_at"] == "2026-08-01T10:02:00.123Z"
    assert answer["lease_generation"] == 3
    assert (answer["terminated_at"], answer["termination_reason"]) == (TEXT, "requested")
    assert json.loads(render_lease(SERVICE)) == {
        "status": "terminated",
        "heartbeat_deadline_at": "2026-08-01T10:02:00.123Z",
        "lease_generation": 3,
    }
    assert json.loads(render_heartbeat(SERVICE, 2)) == {
        "agent": {
            "id": "S",
            "zone_id": "z",
            "application_id": "app-1",
            "status": "terminated",
            "last_active_at": TEXT,
            "last_heartbeat_at": TEXT,
            "heartbeat_deadline_at": "2026-08-01T10:02:00.123Z",
            "lease_generation": 3,
        },
        "service": None,
        "active_invocations": 2,
    }


def test_lists_are_pages():
    page = json.loads(render_sessions([TASK, SERVICE], "C"))
    assert [item["agent_session_id"] for item in page["items"]] == ["C", "S"]
    assert page["next_cursor"] == "C"
    assert json.loads(render_sessions([], None)) == {"items": [], "next_cursor": None}


def test_counts_are_answered_by_name():
    assert json.loads(render_suspended(2)) == {"suspended": 2}
    assert json.loads(render_resumed(0)) == {"resumed": 0}
    assert json.loads(render_revoked(delegations=3, records=1, sessions=2)) == {
        "revoked_edges": 3,
        "affected_sessions": 1,
        "terminated_sessions": 2,
    }


def test_a_heartbeat_is_read():
    read = parse_heartbeat(b'{"lease_generation":2,"service_id":"x","metadata":{}}')
    assert (read.lease_generation, read.health, read.active_invocations) == (2, Health.HEALTHY, 0)
    read = parse_heartbeat(b'{"lease_generation":1,"status":"degraded","active_invocations":4}')
    assert (read.health, read.active_invocations) == (Health.DEGRADED, 4)


def test_a_heartbeat_without_a_generation_has_its_own_reason():
    error = refusal(parse_heartbeat, {"status": "healthy"})
    assert error.reason is Reason.SESSION_LEASE_GENERATION_MISSING
    assert (error.code, error.field) == ("lease_generation_required", "lease_generation")


@pytest.mark.parametrize("value", [0, -1, "1", True, 1.0, 2**60])
def test_a_generation_is_a_positive_integer(value):
    for parse in (parse_heartbeat, parse_end):
        assert refusal(parse, {"lease_generation": value}).field == "lease_generation"


def test_the_body_of_an_end_is_optional():
    assert parse_end(b"") is None
    assert parse_end(b" \n") is None
    assert parse_end(b"{}") is None
    assert parse_end(b'{"lease_generation":7}') == 7


CREATE = {
    "source_session_id": "P",
    "target_session_id": "C",
    "issuer_application_id": "app-1",
    "receiver_application_id": "app-2",
    "scopes": ["write", "read"],
    "ttl_seconds": 300,
}


def create(**changes) -> CreateDelegationBody:
    return parse_create_delegation(json.dumps(CREATE | changes).encode())


def test_a_delegation_with_every_member_is_read():
    read = create(
        parent_edge_id="E0",
        resource_id="res://a",
        expires_at="2026-08-01T12:00:00+02:00",
        constraints={
            "resources": ["res://a", "res://b"],
            "max_depth": 3,
            "max_hops": 3,
            "budget": 5,
            "ttl_seconds": 60,
            "policy_approved": True,
            "expires_at": "2026-08-01T11:00:00Z",
            "broad_reason": "because",
        },
        unknown="dropped",
    )
    assert read == CreateDelegationBody(
        source="P",
        target="C",
        issuer="app-1",
        receiver="app-2",
        parent_edge_id="E0",
        resource_id="res://a",
        scopes=ScopeSet.of("read", "write"),
        resources=frozenset({"res://a", "res://b"}),
        max_hops=3,
        ttl=timedelta(seconds=300),
        max_ttl=timedelta(seconds=60),
        expires_at=datetime(2026, 8, 1, 10, 0, tzinfo=UTC),
        budget=5,
        broad_reason="because",
    )


def test_a_delegation_states_nothing_it_was_not_told():
    read = create()
    assert (read.resources, read.resource_id, read.budget, read.max_ttl) == (None, None, None, None)
    assert (read.max_hops, read.broad_reason, read.expires_at) == (1, "", None)
    assert create(constraints=None, constraints_json={}, resource_id=None) == read
    assert len(create(scopes=[]).scopes) == 0


def test_both_names_of_the_constraints_are_read_and_the_newer_wins():
    read = create(constraints_json={"max_hops": 2, "budget": 7}, constraints={"max_hops": 5})
    assert (read.max_hops, read.budget) == (5, 7)


def test_depth_is_another_name_for_hops():
    assert create(constraints={"max_depth": 4}).max_hops == 4
    error = refusal(
        parse_create_delegation, CREATE | {"constraints": {"max_depth": 2, "max_hops": 3}}
    )
    assert (error.code, error.field) == ("invalid_max_hops", "constraints.max_hops")


def test_a_lifetime_in_the_constraints_alone_also_limits_the_delegation():
    without = {name: value for name, value in CREATE.items() if name != "ttl_seconds"}
    text = json.dumps(without | {"constraints": {"ttl_seconds": 60}}).encode()
    read = parse_create_delegation(text)
    assert read.ttl == read.max_ttl == timedelta(seconds=60)
    assert parse_create_delegation(json.dumps(without).encode()).ttl is None
    ending = without | {"expires_at": TEXT, "constraints": {"ttl_seconds": 60}}
    assert parse_create_delegation(json.dumps(ending).encode()).ttl is None


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"source_session_id": "/"}, "source_session_id"),
        ({"target_session_id": None}, "target_session_id"),
        ({"issuer_application_id": ""}, "issuer_application_id"),
        ({"receiver_application_id": 1}, "receiver_application_id"),
        ({"parent_edge_id": "a b"}, "parent_edge_id"),
        ({"resource_id": ""}, "resource_id"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": ["a b"]}, "scopes"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2026-08-01T10:00:00"}, "expires_at"),
        ({"constraints": []}, "constraints"),
    ],
)
def test_a_bad_delegation_names_the_member(changes, member):
    error = refusal(parse_create_delegation, CREATE | changes)
    assert (error.field, error.code) == (member, "invalid_body")


BAD_CONSTRAINTS = [
    ("max_cost_usd", 1, "invalid_delegation_constraint"),
    ("resources", [], "invalid_resources"),
    ("resources", ["no uri"], "invalid_resources"),
    ("resources", ["res://x"] * 65, "invalid_resources"),
    ("resources", "res://x", "invalid_resources"),
    ("max_depth", 0, "invalid_max_depth"),
    ("max_hops", 11, "invalid_max_hops"),
    ("max_hops", None, "invalid_max_hops"),
    ("budget", 65, "invalid_budget"),
    ("ttl_seconds", 86_401, "invalid_ttl_seconds"),
    ("policy_approved", "yes", "invalid_policy_approved"),
    ("expires_at", "soon", "invalid_expires_at"),
    ("expires_at", 5, "invalid_expires_at"),
    ("broad_reason", "", "invalid_broad_reason"),
    ("broad_reason", "x" * 257, "invalid_broad_reason"),
]


@pytest.mark.parametrize(("name", "value", "code"), BAD_CONSTRAINTS)
@pytest.mark.parametrize("place", ["constraints", "constraints_json"])
def test_an_unknown_or_bad_constraint_is_refused_by_name(name, value, code, place):
    error = refusal(parse_create_delegation, CREATE | {place: {name: value}})
    assert (error.code, error.field) == (code, f"constraints.{name}")


def test_a_created_delegation_is_answered_with_its_names_on_the_wire():
    assert json.loads(render_created_delegation(BOUND)) == {
        "delegation_edge_id": "E",
        "zone_id": "z",
        "source_session_id": "P",
        "target_session_id": "C",
        "issuer_application_id": "app-1",
        "receiver_application_id": "app-1",
        "parent_edge_id": None,
        "resource_id": "res://a",
        "scopes": ["read", "write"],
        "constraints_json": {
            "resources": ["res://a"],
            "max_hops": 1,
            "ttl_seconds": 300,
            "budget": 2,
        },
        "status": "active",
        "expires_at": "2026-08-01T10:05:00.123Z",
        "edge_version": 0,
        "revoked_at": None,
        "created_at": TEXT,
        "warnings": [],
        "allow_reason": [
            "same_zone_endpoints_active",
            "resource_scope_checked",
            "source_authority_root",
            "typed_constraints_validated",
        ],
        "effective_authority": {
            "source_session_id": "P",
            "target_session_id": "C",
            "parent_edge_id": None,
            "resource_id": "res://a",
            "resources": ["res://a"],
            "scopes": ["read", "write"],
            "expires_at": "2026-08-01T10:05:00.123Z",
            "max_hops": 1,
            "ttl_seconds": 300,
            "broad": False,
            "parent_edges_considered": [],
        },
    }


def test_a_broad_delegation_says_so():
    answer = json.loads(render_created_delegation(BROAD))
    assert answer["warnings"] == ["resource_null_delegation_broadens_resource_matching"]
    assert answer["allow_reason"][1:3] == ["broad_delegation_elevated", "parent_authority_narrowed"]
    assert answer["constraints_json"] == {
        "max_hops": 3,
        "policy_approved": True,
        "broad_reason": "resource_null_delegation",
    }
    assert answer["effective_authority"]["parent_edges_considered"] == ["E"]
    assert answer["effective_authority"]["ttl_seconds"] is None


def test_listed_delegations_have_an_id_and_a_broad_reason():
    several = delegation(Constraints(frozenset({"res://a", "res://b"})))
    page = json.loads(render_delegations([BOUND, BROAD, several], None))
    assert [(item["id"], item["broad_reason"]) for item in page["items"]] == [
        ("E", None),
        ("E2", "resource_null_delegation"),
        ("E", None),
    ]
    assert page["items"][2]["resource_id"] is None
    assert "delegation_edge_id" not in page["items"][0]
    assert "effective_authority" not in page["items"][0]


def test_the_status_and_the_reach_of_a_delegation_are_answered():
    assert json.loads(render_delegation_status(BOUND)) == {"id": "E", "status": "active"}
    steps = [
        {"id": "E", "source_session_id": "P", "target_session_id": "C", "depth": 0},
        {"id": "E2", "source_session_id": "P", "target_session_id": "C", "depth": 1},
    ]
    assert json.loads(render_traversal(BOUND, [BOUND, BROAD])) == steps
    assert json.loads(render_impact(BOUND, [BOUND, BROAD], sessions=["C"], records=["R"])) == {
        "edge_id": "E",
        "affected_edges": steps,
        "affected_sessions": ["C"],
        "affected_authority_records": ["R"],
    }


def test_effective_authority_of_nothing_received_is_nothing():
    answer = json.loads(render_effective_authority("C", [], None))
    assert answer == {
        "agent_session_id": "C",
        "inbound_edges": [],
        "effective_scopes": [],
        "effective_resource_ids": [],
        "effective_resources": [],
        "effective_resource_constrained": True,
        "effective_max_hops": 0,
        "effective_ttl_seconds": None,
        "earliest_expires_at": None,
    }


def test_effective_authority_is_the_grant_that_holds():
    answer = json.loads(render_effective_authority("C", [BOUND], BOUND.grant))
    assert answer["inbound_edges"] == ["E"]
    assert answer["effective_scopes"] == ["read", "write"]
    assert answer["effective_resources"] == ["res://a"]
    assert answer["effective_ttl_seconds"] == 300
    assert answer["earliest_expires_at"] == "2026-08-01T10:05:00.123Z"
    broad = json.loads(render_effective_authority("C", [BROAD], BROAD.grant))
    assert broad["effective_resource_constrained"] is False
    assert broad["effective_max_hops"] == 3


@given(
    st.datetimes(
        timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=30))),
        min_value=datetime(2, 1, 1),  # noqa: DTZ001 (Hypothesis adds the zone)
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001 (Hypothesis adds the zone)
    )
)
def test_instants_survive_to_the_millisecond(at):
    read = parse_instant(render_instant(at))
    assert timedelta(0) <= at - read < timedelta(milliseconds=1)
    assert render_instant(read) == render_instant(at)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-08-01", "2026-08-01 10:00:00Z", "2026-08-01T10:00:00", "2026-13-01T10:00:00Z",
     "0001-01-01T00:00:00+10:00", "2026-08-01T10:00:00z", "\uff12026-08-01T10:00:00Z", "20260801T100000Z"],
)  # fmt: skip
def test_what_is_not_an_instant_with_a_zone_is_refused(text):
    with pytest.raises(ValueError, match=r"instant|month"):
        parse_instant(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            [
                *CREATE,
                "constraints",
                "constraints_json",
                "issuer",
                "subject_id",
                "expires_at",
                "application_id",
                "labels",
                "metadata",
                "lease_generation",
                "status",
            ],
            _json,
        ),
    )
    | _json
)
def test_any_json_is_read_or_refused_by_name(body):
    text = json.dumps(body).encode()
    for parse in (
        parse_start_session,
        parse_create_delegation,
        parse_heartbeat,
        parse_end,
        parse_revoke_subject,
    ):
        try:
            parse(text)
        except WireError as error:
            said = error.description
        else:
            continue
        assert said


def test_a_user_is_revoked_by_issuer_and_name():
    body = {"issuer": "https://id.example", "subject_id": "auth0|\u540d", "more": 1}
    user = User("https://id.example", "auth0|\u540d")
    assert parse_revoke_subject(json.dumps(body).encode()) == (user, "")
    said = parse_revoke_subject(json.dumps(body | {"reason": "left"}).encode())
    assert said == (user, "left")
    assert json.loads(render_revoked_subject(user, 2, 1)) == {
        "subject_id": user.name,
        "issuer": user.issuer,
        "sessions": 2,
        "delegations": 1,
    }


def test_a_name_that_no_user_has_is_refused():
    body = {"issuer": "https://id.example", "subject_id": "caracal:shared"}
    assert refusal(parse_revoke_subject, body).field == "subject_id"
