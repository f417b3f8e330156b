"""Sessions, what they hold and hand on, over a started Caracal."""

from datetime import timedelta

import httpx
import msgspec
import pytest

from caracal import Caracal
from caracal.sdk import (
    AccessDenied,
    Configuration,
    CredentialsRefused,
    DelegationEnded,
    InvalidRequest,
    Secret,
    SessionEnded,
    parse_trace_context,
)
from caracal.tokens import base64url
from tests.sdk.clients import configured, live_sessions, status
from tests.support.deployment import API, READ, WRITE

MINUTE = timedelta(minutes=1)
TRACE = "0af7" * 8


def get(transport, path="/json"):
    with httpx.Client(transport=transport) as http:
        return http.get(path)


def test_a_session_that_names_scopes_calls_with_them_and_ends_with_its_block(caracal, zone):
    with caracal.session(scopes=[READ], resources=[API]) as session:
        assert get(session.transport(API)).status_code == 200
        assert status(zone, session.id) == "active"
        with pytest.raises(AccessDenied) as refused:
            session.mandate(API, [WRITE])
        assert refused.value.code == "delegation_scope_exceeded"
        assert refused.value.fix
        assert refused.value.request_id
    assert status(zone, session.id) == "terminated"
    assert live_sessions(zone) == set()
    with pytest.raises(SessionEnded, match="block has ended"):
        session.mandate(API)


def test_a_session_ends_also_when_its_block_fails(caracal, zone):
    class Failed(Exception):
        pass

    def fail():
        with caracal.session() as session:
            assert live_sessions(zone) == {session.id}
            raise Failed

    with pytest.raises(Failed):
        fail()
    assert live_sessions(zone) == set()


def test_blocks_inside_blocks_narrow(caracal, zone):
    with caracal.session(scopes=[READ, WRITE], resources=[API], max_hops=3) as outer:
        with caracal.session(scopes=[READ], resources=[API]) as inner:
            assert zone.operate("GET", f"agents/{inner.id}").json()["parent_id"] == outer.id
            assert inner.delegation.expires_at == outer.delegation.expires_at
            assert get(inner.transport(API)).status_code == 200
            with pytest.raises(AccessDenied):
                inner.mandate(API, [WRITE])
        with outer.session(scopes=[READ], resources=[API], ttl=MINUTE, max_hops=2) as short:
            assert short.delegation.expires_at < outer.delegation.expires_at
            with caracal.session(scopes=[READ], resources=[API]):
                # A block follows the blocks around it, not the object that opened the last one.
                assert get(short.transport(API)).status_code == 200
        assert outer.mandate(API, [WRITE])


def test_nothing_is_held_that_was_not_named_or_asked_for(caracal):
    with caracal.session(scopes=[READ], resources=[API]) as outer:
        with caracal.session() as bare, pytest.raises(InvalidRequest) as refused:
            bare.mandate(API, [READ])
        assert refused.value.code == "delegation_required"
        with caracal.session(inherit=True) as heir:
            assert heir.delegation.target == heir.id
            assert heir.delegation.scopes == outer.delegation.scopes
            assert get(heir.transport(API)).status_code == 200


def test_a_wider_block_is_refused_and_leaves_no_session(caracal, zone):
    with caracal.session(scopes=[READ], resources=[API], max_hops=2) as outer:
        before = live_sessions(zone)
        with (
            pytest.raises(AccessDenied) as refused,
            caracal.session(scopes=[WRITE], resources=[API]),
        ):
            raise AssertionError("opened")
        assert refused.value.code == "delegation_scope_exceeded"
        assert live_sessions(zone) == before
        assert outer.lost is None
    with pytest.raises(AccessDenied), caracal.session(scopes=["api:unknown"], resources=[API]):
        raise AssertionError("opened")
    assert live_sessions(zone) == set()


def test_what_is_handed_to_another_application_is_accepted_and_used(caracal, zone):
    with Caracal(configured(zone, "helper")) as helper, helper.session() as theirs:
        with caracal.session(scopes=[READ, WRITE], resources=[API], max_hops=2) as ours:
            handed = ours.delegate(
                theirs.id,
                to_application=theirs.application_id,
                resources=[API],
                scopes=[READ],
                ttl=MINUTE,
            )
            acting = theirs.accept(handed.id)
            assert acting.delegation.scopes.render() == READ
            assert acting.delegation.resources == {API}
            assert get(acting.transport(API)).status_code == 200
            with theirs.session() as further, pytest.raises(AccessDenied) as refused:
                acting.delegate(further.id, resources=[API], scopes=[READ], ttl=MINUTE / 2)
            assert refused.value.code == "delegation_hops_exceeded"
            with pytest.raises(DelegationEnded):
                ours.accept(handed.id)
            ours.revoke(handed.id)
            ours.revoke(handed.id)
            with pytest.raises(DelegationEnded):
                theirs.accept(handed.id)
            with pytest.raises(DelegationEnded):
                acting.mandate(API)
        assert status(zone, theirs.id) == "active"


def test_a_killed_session_ends_calls(caracal, zone):
    with caracal.session(scopes=[READ], resources=[API]) as session:
        transport = session.transport(API)
        assert get(transport).status_code == 200
        zone.kill(session.id)
        with pytest.raises(SessionEnded) as ended:
            session.mandate(API)
        assert ended.value.request_id
        assert ended.value.fix


def test_a_wrong_secret_is_named_as_such_and_never_shown(zone):
    wrong = configured(zone, client_secret=Secret("cs_planted-secret"))
    with Caracal(wrong) as client, pytest.raises(CredentialsRefused) as refused:
        client.session().__enter__()
    assert refused.value.code == "client_secret_wrong"
    shown = str(refused.value) + repr(refused.value) + repr(client) + repr(wrong)
    assert "planted" not in shown


def test_without_a_resource_the_fix_says_where_to_name_one(zone):
    with Caracal(configured(zone, resources=())) as client:
        with pytest.raises(InvalidRequest, match="CARACAL_APP_RESOURCES"), client.session():
            pass
        with client.session(scopes=[READ], resources=[API]) as session:
            assert session.mandate(API).scopes.render() == READ


def test_policy_refuses_with_a_fix(deployment):
    policy = '@id("reads") permit (principal, action == Action::"api:read", resource);'
    zone = deployment.zone(policy=policy)
    wanted = {"scopes": [READ, WRITE], "resources": [API]}
    with Caracal(configured(zone)) as client, client.session(**wanted) as session:
        assert session.mandate(API, [READ])
        with pytest.raises(AccessDenied) as refused:
            session.mandate(API, [WRITE])
    assert refused.value.code == "policy_no_permit"


def test_a_repeated_key_opens_the_same_session(caracal):
    options = {"scopes": [READ], "resources": [API], "idempotency_key": "job-1"}
    with (
        caracal.session(**options) as one,
        Caracal(caracal.configuration) as restarted,
        restarted.session(**options) as again,
    ):
        assert again.id == one.id
        assert again.delegation.id == one.delegation.id
    with pytest.raises(SessionEnded), caracal.session(**options):
        raise AssertionError("opened what had ended")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scopes": [READ]}, "go together"),
        ({"resources": [API]}, "go together"),
        ({"scopes": READ, "resources": [API]}, "not several"),
        ({"scopes": ["a b"], "resources": [API]}, "not a scope"),
        ({"scopes": [READ], "resources": [API], "inherit": True}, "inherits all"),
        ({"inherit": True}, "nothing to inherit"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_sent(options, problem):
    nowhere = Configuration("z", "a", Secret("s"), sts_url="http://127.0.0.1:9", resources=(API,))
    with Caracal(nowhere) as client:
        with pytest.raises(InvalidRequest, match=problem), client.session(**options):
            raise AssertionError("opened")
        with pytest.raises(TypeError, match="no option 'scope'"), client.session(scope=READ):
            raise AssertionError("opened")
        with pytest.raises(InvalidRequest), client.service(ttl=MINUTE):
            raise AssertionError("opened")


def test_grants_and_mandates_that_make_no_sense_are_refused_here(caracal):
    with caracal.session(scopes=[READ], resources=[API], max_hops=2) as session:
        for named in (
            {"resources": API, "scopes": [READ]},
            {"resources": [API], "scopes": READ},
            {"resources": [], "scopes": [READ]},
            {"resources": [API], "scopes": []},
            {"resources": [API], "scopes": ["a b"]},
        ):
            with pytest.raises(InvalidRequest):
                session.delegate("S", ttl=MINUTE, **named)
        for scopes in (READ, ["a b"]):
            with pytest.raises(InvalidRequest):
                session.mandate(API, scopes)
        with pytest.raises(AccessDenied, match="approval_unknown"):
            session.mandate(API, [READ], approval_id="ap-1")
        assert repr(session) == f"Session('{session.id}')"


def test_a_trace_that_came_in_is_carried_to_the_upstream(caracal, zone, upstream):
    trace = parse_trace_context(
        [
            ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),
            ("tracestate", "vendor=1"),
            ("baggage", "tenant=t1,caracal.hop=3"),
        ]
    )
    with caracal.session(scopes=[READ], resources=[API], trace=trace) as session:
        answer = get(session.transport(API))
    (received,) = upstream.by_request(answer.headers["x-request-id"])
    assert TRACE in received.header("traceparent")
    assert received.header("tracestate") == "vendor=1"
    assert received.header("baggage") == "tenant=t1"


def test_a_session_works_for_a_user(deployment, provider):
    zone = deployment.zone(subject_issuers=[provider.trust])
    with Caracal(configured(zone)) as client:
        user = client.sign_in(provider.token("ann"))
        with client.session(scopes=[READ], resources=[API], user=user) as session:
            claims = msgspec.json.decode(
                base64url.decode(session.mandate(API).token.reveal().split(".")[1].encode())
            )
        assert (claims["sub"], claims["sub_type"]) == ("ann", "user")
        with pytest.raises(AccessDenied) as refused:
            client.sign_in("not.a.token")
    assert refused.value.code == "subject_token_malformed"
    assert user.token.reveal() not in repr(user)
