"""What `wire.calls` builds, the services' own parsers read; what the services render, it reads."""

import contextlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.constraints import Constraints
from caracal.authority.delegation import Delegation, DelegationStatus
from caracal.authority.grants import Grant
from caracal.authority.identifiers import SessionId
from caracal.authority.scopes import ScopeSet
from caracal.authority.session_rules import ParentAuthority
from caracal.authority.sessions import Lifecycle, Session, Status
from caracal.tokens import base64url
from caracal.tokens.secret import Secret
from caracal.wire.calls import delegations, messages, receipts, sessions, tokens
from caracal.wire.calls.refusals import Answer, CaracalError, UnexpectedAnswer
from caracal.wire.delegations import (
    parse_create_delegation,
    render_created_delegation,
    render_delegations,
)
from caracal.wire.forms import SubjectTokenType, parse_token_form
from caracal.wire.sessions import (
    Health,
    parse_end,
    parse_heartbeat,
    parse_start_session,
    render_heartbeat,
    render_lease,
    render_session,
    render_started_session,
)

NOW = datetime(2026, 8, 1, 10, 0, 0, 123_000, tzinfo=UTC)
WHO = tokens.Application("https://sts.example", "zone-1", "app-1", Secret("cs_planted"))
ACTING = tokens.Acting("S", "D")
KEY = sessions.IdempotencyKey("key-1")
AGENTS, EDGES = "https://c.example/zones/z/agents", "https://c.example/zones/z/delegations"
TASK = Session(
    id="C",
    zone_id="z",
    application_id="app-1",
    path=("P", "C"),
    record="r1",
    lifecycle=Lifecycle.TASK,
    labels=(),
    status=Status.ACTIVE,
    started_at=NOW,
    ttl=timedelta(seconds=600),
)
SERVICE = Session(
    id="S",
    zone_id="z",
    application_id="app-1",
    path=("S",),
    record="r1",
    lifecycle=Lifecycle.SERVICE,
    labels=(),
    status=Status.ACTIVE,
    started_at=NOW,
    ttl=None,
    lease_expires_at=NOW + timedelta(seconds=120),
    lease_generation=3,
    last_heartbeat_at=NOW,
)


def edge(**limits) -> Delegation:
    stated = {"resources": frozenset({"resource://a"}), "hops": 2} | limits
    return Delegation(
        id="D",
        zone_id="z",
        source="S",
        target="C",
        issuer="app-1",
        receiver="app-2",
        path=("D",),
        chain=(),
        grant=Grant(ScopeSet.of("read", "write"), Constraints(**stated), NOW),
        status=DelegationStatus.ACTIVE,
        created_at=NOW,
    )


def form(request: messages.Request):
    content_type = dict(request.headers)["content-type"].encode()
    return parse_token_form(
        method=request.method, query=b"", content_type=content_type, body=request.body
    )


def yes(body: bytes, **headers: str) -> Answer:
    return Answer(200, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_a_session_mandate_is_asked_for_with_every_resource_once():
    asked = form(tokens.session_mandate_request(WHO, ["resource://b", "resource://a"] * 2))
    assert asked.zone_id == "zone-1"
    assert asked.application_id == "app-1"
    assert asked.client_secret == Secret("cs_planted")
    assert asked.resources == ("resource://a", "resource://b")
    assert asked.scopes == ScopeSet.of("agent:lifecycle")


@given(
    st.lists(st.text("abc:./+&=%", min_size=1, max_size=9), min_size=1, max_size=5),
    st.one_of(st.none(), st.integers(1, 3600)),
    st.one_of(st.none(), st.just("ap-1")),
)
def test_a_mandate_is_asked_for_as_it_is_meant(scopes, seconds, approval):
    lifetime = None if seconds is None else timedelta(seconds=seconds)
    wanted = ScopeSet.from_texts(scopes)
    asked = form(
        tokens.mandate_request(
            WHO, ACTING, "resource://a?b&c", wanted, lifetime=lifetime, approval_id=approval
        )
    )
    assert (asked.agent_session_id, asked.delegation_edge_id) == ("S", "D")
    assert asked.resources == ("resource://a?b&c",)
    assert asked.scopes == wanted
    assert asked.ttl == lifetime
    assert asked.approval_id == approval


def test_an_id_token_is_traded_for_the_proof_of_its_user():
    asked = form(tokens.sign_in_request(WHO, Secret("a.b.c"), lifetime=timedelta(seconds=60)))
    assert asked.subject_token == b"a.b.c"
    assert asked.subject_token_type is SubjectTokenType.ID_TOKEN
    assert asked.ttl == timedelta(seconds=60)
    claims = base64url.encode(b'{"sid":"record-1","more":1}').decode()
    answer = yes(msgspec.json.encode({"access_token": f"h.{claims}.s", "expires_in": 900}))
    user = tokens.read_user(answer)
    assert user.record_id == "record-1"
    assert user.token.reveal() == f"h.{claims}.s"


@pytest.mark.parametrize("payload", [b"no json", b'{"sid":"not an id"}', b"[]", b'{"sid":7}'])
def test_a_proof_without_a_record_is_no_proof(payload):
    token = f"h.{base64url.encode(payload).decode()}.s"
    for text in (token, "opaque", "h.!!.s"):
        with pytest.raises(UnexpectedAnswer, match="names no authority record"):
            tokens.read_user(yes(msgspec.json.encode({"access_token": text, "expires_in": 9})))


def test_a_mandate_is_read():
    body = {"access_token": "t.t.t", "expires_in": 900, "token_type": "Bearer", "scope": "b a"}
    mandate = tokens.read_mandate(yes(msgspec.json.encode(body | {"caracal_receipt": "z.1.c"})))
    assert mandate.token.reveal() == "t.t.t"
    assert mandate.lifetime == timedelta(seconds=900)
    assert mandate.scopes == ScopeSet.of("a", "b")
    assert mandate.receipt == "z.1.c"
    assert "t.t.t" not in repr(mandate)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": ""},
        {"access_token": "a b"},
        {"access_token": None},
        {"expires_in": 0},
        {"expires_in": "900"},
        {"token_type": "DPoP"},
        {"scope": 'a"b'},
    ],
)
def test_what_is_no_token_answer_is_unexpected(changes):
    body = {"access_token": "planted.t.t", "expires_in": 900} | changes
    with pytest.raises(UnexpectedAnswer) as raised:
        tokens.read_mandate(yes(msgspec.json.encode(body)))
    assert "planted" not in str(raised.value)


def test_a_task_is_started_with_nothing_of_its_parents_unless_asked():
    bare = sessions.start_request(AGENTS, "app-1", sessions.WantedSession(parent_id="P"), KEY)
    read = parse_start_session(bare.body)
    assert (read.application_id, read.parent_id) == ("app-1", "P")
    assert read.parent_authority is ParentAuthority.NONE
    assert read.ttl is None
    assert read.inherit_parent_edge_id is None
    assert dict(bare.headers)["idempotency-key-kind"] == "generated"
    assert bare.repeatable


def test_a_start_says_all_that_is_wanted():
    user = tokens.SignedInUser("rec", Secret("proof.p.p"), timedelta(seconds=9))
    wanted = sessions.WantedSession(
        parent_id="P",
        inherit=True,
        inherited="D",
        ttl=timedelta(seconds=60),
        labels=("x",),
        metadata={"task": "t"},
        user=user,
    )
    key = sessions.IdempotencyKey("mine", generated=False)
    request = sessions.start_request(AGENTS, "app-1", wanted, key)
    read = parse_start_session(request.body)
    assert read.parent_authority is ParentAuthority.INHERIT
    assert read.inherit_parent_edge_id == "D"
    assert read.ttl == timedelta(seconds=60)
    assert read.labels == ("x",)
    assert read.metadata == '{"task":"t"}'
    assert read.subject_session_id == "rec"
    assert read.subject_token == b"proof.p.p"
    assert ("idempotency-key", "mine") in request.headers
    assert "idempotency-key-kind" not in dict(request.headers)
    assert "proof" not in repr(wanted) + repr(request)


def test_started_sessions_are_read():
    answer = yes(
        render_started_session(TASK, "D"), caracal_receipt="z.1.c", idempotency_replayed="true"
    )
    started = sessions.read_started(answer)
    assert started == sessions.StartedSession(
        SessionId("C"), 1, timedelta(seconds=600), None, "D", "z.1.c", replayed=True
    )
    service = sessions.read_started(yes(render_started_session(SERVICE, None)))
    assert service.lease == sessions.Lease(3, timedelta(seconds=120), Status.ACTIVE)
    assert service.inherited is None
    assert service.ends_after is None
    assert not service.replayed


@pytest.mark.parametrize(
    "changes",
    [
        {"lease_generation": 0},
        {"heartbeat_deadline_at": None},
        {"heartbeat_deadline_at": "tomorrow"},
        {"heartbeat_deadline_at": "2026-08-01T09:00:00Z"},
        {"agent_session_id": "a/b"},
        {"status": "undead"},
    ],
)
def test_a_service_without_a_usable_lease_is_unexpected(changes):
    body = msgspec.json.decode(render_started_session(SERVICE, None)) | changes
    with pytest.raises(UnexpectedAnswer):
        sessions.read_started(yes(msgspec.json.encode(body)))


def test_how_a_session_stands_is_read():
    assert sessions.session_request(AGENTS, "C").url == f"{AGENTS}/C"
    state = sessions.read_session(yes(render_session(TASK)))
    assert state == sessions.SessionState(Status.ACTIVE, "")


def test_sessions_are_ended_by_who_holds_them():
    task, service = sessions.end_request(AGENTS, "C"), sessions.end_request(AGENTS, "S", 3)
    assert (task.method, task.url, parse_end(task.body)) == ("DELETE", f"{AGENTS}/C", None)
    assert parse_end(service.body) == 3
    assert task.repeatable


def test_a_lease_is_renewed_and_taken_over():
    beat = sessions.heartbeat_request(AGENTS, "S", 3)
    read = parse_heartbeat(beat.body)
    assert (read.lease_generation, read.health) == (3, Health.HEALTHY)
    lease = sessions.read_heartbeat(yes(render_heartbeat(SERVICE, 0)))
    assert lease == sessions.Lease(3, timedelta(seconds=120), Status.ACTIVE)
    taken = sessions.take_lease_request(AGENTS, "S")
    assert taken.url == f"{AGENTS}/S/lease"
    assert not taken.repeatable
    assert sessions.read_lease_taken(yes(render_lease(SERVICE))) == 3


def test_a_delegation_is_asked_for_as_it_is_meant():
    ends = delegations.Ends("S", "app-1", "C", "app-2", "P")
    grant = delegations.WantedGrant(
        frozenset({"resource://b", "resource://a"}),
        ScopeSet.of("read"),
        ttl=timedelta(seconds=60),
        max_hops=3,
        mandate_ttl=timedelta(seconds=30),
        budget=4,
    )
    request = delegations.delegate_request(EDGES, ends, grant, KEY)
    read = parse_create_delegation(request.body)
    assert (read.source, read.issuer) == ("S", "app-1")
    assert (read.target, read.receiver, read.parent_edge_id) == ("C", "app-2", "P")
    assert read.resources == {"resource://a", "resource://b"}
    assert read.scopes == ScopeSet.of("read")
    assert (read.ttl, read.max_ttl, read.max_hops, read.budget) == (
        timedelta(seconds=60),
        timedelta(seconds=30),
        3,
        4,
    )
    until = delegations.WantedGrant(frozenset({"r:a"}), ScopeSet.of("read"), expires_at=NOW)
    ending = delegations.delegate_request(EDGES, delegations.Ends("S", "a", "C", "b"), until, KEY)
    assert parse_create_delegation(ending.body).expires_at == NOW


def test_delegations_are_read_as_made_and_as_received():
    limited = edge(max_ttl=timedelta(seconds=60), budget=2)
    made = delegations.read_delegated(yes(render_created_delegation(limited), caracal_receipt="r"))
    assert made == delegations.Delegation(
        "D",
        "S",
        "C",
        frozenset({"resource://a"}),
        ScopeSet.of("read", "write"),
        NOW,
        2,
        timedelta(seconds=60),
        2,
        "r",
    )
    broad = edge(resources=None)
    page = delegations.read_inbound(yes(render_delegations([limited, broad], "D2")))
    assert page.cursor == "D2"
    assert [row.resources for row in page.delegations] == [frozenset({"resource://a"}), None]
    assert delegations.inbound_request(EDGES, "C").url == f"{EDGES}/inbound/C"
    assert delegations.inbound_request(EDGES, "C", "a b").url.endswith("/inbound/C?cursor=a%20b")
    assert delegations.revoke_request(EDGES, "a/b").url == f"{EDGES}/a%2Fb/revoke"


@pytest.mark.parametrize(
    "changes", [{"delegation_edge_id": ""}, {"expires_at": "soon"}, {"scopes": ["a b"]}]
)
def test_what_is_no_delegation_is_unexpected(changes):
    body = msgspec.json.decode(render_created_delegation(edge())) | changes
    with pytest.raises(UnexpectedAnswer):
        delegations.read_delegated(yes(msgspec.json.encode(body)))


READERS = [
    tokens.read_mandate,
    tokens.read_user,
    sessions.read_started,
    sessions.read_session,
    sessions.read_ended,
    sessions.read_heartbeat,
    sessions.read_lease_taken,
    delegations.read_delegated,
    delegations.read_inbound,
    delegations.read_revoked,
    receipts.read_receipt,
]


@pytest.mark.parametrize("read", READERS, ids=lambda reader: reader.__name__)
@given(status=st.integers(100, 599), body=st.binary(max_size=60), retry=st.text(max_size=9))
def test_whatever_comes_back_is_a_result_or_a_typed_error(read, status, body, retry):
    answer = Answer(status, {"retry-after": retry, "x-request-id": retry}, body)
    with contextlib.suppress(CaracalError):
        read(answer)
        assert 200 <= status < 300


def test_a_receipt_is_asked_for_by_its_reference():
    request = receipts.receipt_request("https://c.example", "z.1.c/../x")
    assert request.url == "https://c.example/v1/receipts/z.1.c%2F..%2Fx"
    witnessed = receipts.receipt_request("https://c.example", "z.1.c", witnessed=True)
    assert witnessed.url.endswith("z.1.c?witnessed=true")
    assert "z.1" not in repr(request)
