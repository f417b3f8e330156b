"""Chains at a resource server: refused unless they are asked for, and then held to everything."""

from datetime import timedelta

import pytest

from caracal.authority.mandates import Bound, MandateClass, Origin
from caracal.authority.outcomes import Reason
from caracal.authority.scopes import ScopeSet
from caracal.tokens.holders import thumbprint
from caracal.verify import Code, MemoryRevocations, NotVerified, Verifier
from tests.tokens.chains import HOLDERS, chain, link
from tests.tokens.mandate_examples import ISSUER, NOW, ulid
from tests.verify.examples import ORDERS, TRUST, refusal, token
from tests.verify.test_mandates_are_decided import code, judged

BOUND = Bound(HOLDERS[0].holder, 2)
NARROW = {"scopes": ScopeSet.of("orders:read"), "resources": (ORDERS,)}


def narrowed(**changes) -> bytes:
    """Handed on once, and closed."""
    root = token(bound=BOUND, **changes).encode()
    steps = [(link(1, 1, **NARROW), HOLDERS[0]), (link(**NARROW), HOLDERS[1])]
    return chain(root, *steps)


def test_a_chain_counts_only_where_it_is_accepted():
    refused = refusal(judged, narrowed())
    assert (refused.code, refused.reason) == (Code.INVALID_TOKEN, Reason.NARROWING_NOT_ACCEPTED)
    assert judged(narrowed(), narrowed=True).scopes == {"orders:read"}


def test_the_principal_has_what_is_left_and_says_by_whom():
    principal = judged(narrowed(), narrowed=True)
    assert principal.expires_at == NOW + timedelta(seconds=300)
    assert principal.hop_count == 2
    keys = [thumbprint(key.holder) for key in HOLDERS[:2]]
    assert [origin.thumbprint for origin in principal.origins] == keys


def test_what_is_asked_of_a_mandate_is_asked_of_what_is_left_of_it():
    assert code(narrowed(), narrowed=True, scopes=["orders:write"]) is Code.INSUFFICIENT_SCOPE
    assert code(narrowed(), narrowed=True, max_hops=1) is Code.HOP_COUNT_EXCEEDED
    late = {"now": NOW + timedelta(seconds=305)}
    assert code(narrowed(), narrowed=True, **late) is Code.INVALID_TOKEN


@pytest.mark.parametrize("accepted", [True, False])
def test_a_bound_mandate_counts_for_nothing_by_itself(accepted):
    refused = refusal(judged, token(bound=BOUND), narrowed=accepted)
    assert refused.reason is Reason.NARROWING_UNFINISHED


def test_chains_are_of_class_resource_and_of_no_other():
    for kind in (MandateClass.GATEWAY, MandateClass.SESSION):
        it = narrowed(mandate_class=kind)
        refused = refusal(judged, it, narrowed=True, uses=["resource", "session"])
        assert refused.reason is Reason.MANDATE_CLASS


def test_the_end_of_anything_in_a_chain_ends_it():
    proven = judged(narrowed(), narrowed=True).mandate
    for gone in (proven.id, proven.record, *(origin.id for origin in proven.origins)):
        view = MemoryRevocations()
        view.revoke(gone, NOW)
        assert code(narrowed(), narrowed=True, revocations=view) is Code.SESSION_REVOKED


def test_a_mandate_that_the_gateway_made_of_a_chain_counts_without_a_setting():
    origins = (Origin(ulid(1), thumbprint(HOLDERS[0].holder)), Origin(ulid(9), "A" * 43))
    principal = judged(token(origins=origins))
    assert (principal.hop_count, principal.origins) == (2, origins)


def test_a_route_takes_it_back_and_never_adds_it():
    strict = Verifier(**TRUST, revocations=MemoryRevocations())
    open_one = Verifier(**TRUST, revocations=MemoryRevocations(), narrowed=True)
    assert not strict.require(narrowed=True).requirements.narrowed
    assert open_one.require(scopes=["orders:read"]).requirements.narrowed
    assert not open_one.require(narrowed=False).requirements.narrowed
    with pytest.raises(NotVerified) as refused:
        strict.authorize(f"Bearer {narrowed().decode()}")
    assert refused.value.reason is Reason.NARROWING_NOT_ACCEPTED


def test_the_key_of_a_chain_is_that_of_its_root():
    rules = Verifier(**TRUST, revocations=MemoryRevocations(), narrowed=True)._rules
    assert rules.key_needed(narrowed()) == "key-1"
    with pytest.raises(NotVerified) as refused:
        rules.key_needed(narrowed(zone_id="other"))
    assert refused.value.code is Code.INVALID_ZONE
    assert rules.expected.issuer == ISSUER
