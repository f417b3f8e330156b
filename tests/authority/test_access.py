"""Who gets an access mandate: what policy permits of what a client asks for, at an endpoint."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from caracal.authority.access import CLIENT_LABEL, AccessRequest, decide_access
from caracal.authority.mandates import ACCESS_LIFETIME, MandateClass
from caracal.authority.mcp import ResourceKind
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.scopes import LIFECYCLE, NO_SCOPES, ScopeSet
from caracal.authority.subjects import SubjectIssuer
from caracal_server.adapters.memory.zone_directory import MemoryZones
from tests.support.zone import ALPHA, BETA, ORDERS, ZONE, record, resource

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def zone():
    server = replace(resource(ORDERS), kind=ResourceKind.MCP, endpoint="orders")
    zones = MemoryZones()
    zones.install(record(resources=(server,)))
    return zones.zone(ZONE)


def ask(zone, *scopes, client=ALPHA, **changes):
    server = replace(zone.resources[ORDERS], **changes)
    request = AccessRequest(server, ScopeSet.of(*scopes))
    return decide_access(zone, zone.applications[client], request, now=NOW)


def test_what_policy_permits_is_granted_for_ten_minutes(zone):
    granted = ask(zone, "read")
    assert granted.mandate_class is MandateClass.ACCESS
    assert (granted.scopes, granted.expires_at) == (ScopeSet.of("read"), NOW + ACCESS_LIFETIME)
    assert granted.policies == ("alpha-works",)
    assert (granted.held, granted.asked.session_labels) == (None, (CLIENT_LABEL,))


def test_what_policy_does_not_permit_is_left_out_and_not_said_to_be_asked(zone):
    granted = ask(zone, "read", "delete", "write")
    assert granted.scopes == granted.asked.scopes == ScopeSet.of("read", "write")


def test_naming_no_scope_asks_for_all(zone):
    assert ask(zone).scopes == ScopeSet.of("read", "write")


def test_nothing_left_is_the_first_refusal_about_all(zone):
    refused = ask(zone, "delete")
    assert (refused.reason, refused.policies) == (Reason.POLICY_FORBID, ("never-delete",))
    refused = ask(zone, "write", "read", client=BETA)
    assert refused.reason is Reason.POLICY_NO_PERMIT
    assert refused.asked.scopes == ScopeSet.of("read", "write")


def test_without_an_endpoint_there_is_no_access(zone):
    assert ask(zone, "read", endpoint="").reason is Reason.RESOURCE_UNKNOWN


def test_scopes_that_are_not_declared_or_not_of_resources_are_refused(zone):
    assert ask(zone, "read", "fly").reason is Reason.SCOPE_UNKNOWN
    assert ask(zone, LIFECYCLE).reason is Reason.SCOPE_UNKNOWN


def test_a_resource_without_scopes_gives_none(zone):
    assert ask(zone, scopes=NO_SCOPES).reason is Reason.SCOPE_MISSING


def test_without_a_policy_everything_is_refused(zone):
    refused = ask(replace(zone, policy=None))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.POLICY_NONE_ACTIVE


def test_an_endpoint_names_one_resource(zone):
    assert zone.at_endpoint("orders").identifier == ORDERS
    assert zone.at_endpoint("mail") is None
    assert zone.at_endpoint("") is None
    assert isinstance(zone.policy, PolicyEngine)


def test_people_sign_in_where_an_issuer_says_how():
    assert not SubjectIssuer("https://i", "https://i/keys", "app").signs_in
    assert SubjectIssuer(
        "https://i", "https://i/keys", "app", "https://i/a", "https://i/t"
    ).signs_in
