"""The change that is named really allows; a forbid is never weakened without saying so."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.outcomes import Reason
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.recording import asks_policy, read_asked
from caracal.authority.policy.remedy import explain_policy
from caracal.authority.policy.replay import decide_again
from caracal.authority.policy.schema import PolicyVocabulary
from tests.authority.policy.test_replay import decided, policies

NOWHERE = PolicyVocabulary(frozenset(), {})
FORBID = '@id("no") forbid (principal, action, resource) when { context.delegation.hops > 0 };'


def refused(reason: Reason, **changes) -> Entry:
    known = {
        "kind": Kind.CALL,
        "verdict": Verdict.REFUSE,
        "policy": "d",
        "lifecycle": "task",
        "scopes": "read",
        "resource": "a:b",
        "operation": "GET /x",
        "delegations": ("d1", "d2"),
        "application_name": 'the "A"',
    }
    return Entry(format=ENTRY_FORMAT, zone="z", at=1, request="r", reason=reason, **known | changes)


@settings(max_examples=80)
@given(data=st.data(), policy=policies())
def test_the_named_change_allows_what_was_refused(data, policy):
    for entry in data.draw(decided(policy)):
        found = explain_policy(entry, policy)
        if not asks_policy(entry) or not found.change or not (found.permits or found.without):
            continue
        asked = read_asked(entry)
        engine = PolicyEngine.load(policy + "\n" + found.permits, NOWHERE)
        outcome = decide_again(engine.leaving_out(found.without), asked)
        assert asked.resources[0] in outcome.permitted
        assert ("WEAKEN" in found.change) == bool(found.without)


def test_a_forbid_is_named_with_what_it_read_and_never_weakened_silently():
    found = explain_policy(refused(Reason.POLICY_FORBID, policies=("no",)), FORBID)
    assert found.values == ("delegation.hops = 2",)
    assert found.change == "WEAKEN what forbids it, no and add a permit"


def test_a_scope_that_the_delegation_lacks_is_named():
    entry = refused(
        Reason.DELEGATION_SCOPE_EXCEEDED,
        kind=Kind.EXCHANGE,
        held="read",
        scopes="read write",
        policy="",
        lifecycle="",
    )
    assert explain_policy(entry, None).change == (
        "grant write in delegation d2; policy was not asked yet"
    )
    assert explain_policy(refused(Reason.DELEGATION_SCOPE_EXCEEDED, scopes="a\tb"), "").change == ""


def test_without_a_policy_a_permit_is_the_change():
    found = explain_policy(refused(Reason.POLICY_NONE_ACTIVE, policy=""), None)
    assert found.change == "add a permit"
    assert 'Application::"the \\"A\\""' in found.permits


def test_no_permit_is_added_for_what_is_permitted_already():
    reads = '@id("reads") permit (principal, action == Action::"read", resource);'
    entry = refused(Reason.POLICY_NO_PERMIT, kind=Kind.EXCHANGE, scopes="read write")
    found = explain_policy(entry, reads)
    assert found.permits.count("permit (") == 1
    assert 'Action::"write"' in found.permits
    both = reads + '@id("no") forbid (principal, action == Action::"write", resource);'
    again = explain_policy(entry, both)
    assert (again.without, again.permits) == (("no",), found.permits)


def test_a_change_that_can_not_be_tried_is_not_named():
    taken = '@id("allows-read") permit (principal, action == Action::"other", resource);'
    found = explain_policy(refused(Reason.POLICY_NO_PERMIT), taken)
    assert (found.change, found.permits) == ("", "")


@pytest.mark.parametrize(
    ("entry", "change"),
    [
        (
            refused(Reason.POLICY_ERROR, policies=("p",)),
            "mend p: it could not be evaluated for this request",
        ),
        (refused(Reason.POLICY_NO_PERMIT, undeclared="read"), ""),
        (refused(Reason.SESSION_NOT_LIVE), ""),
        (refused(Reason.SESSION_NOT_LIVE, policy="", lifecycle=""), ""),
    ],
)
def test_where_no_permit_helps_none_is_named(entry, change):
    assert explain_policy(entry, "").change == change
