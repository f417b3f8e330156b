"""Narrowing in the SDK: no request after the first, never more than is held, and the Gateway takes it."""

from datetime import timedelta

import httpx
import pytest

from caracal.sdk import InvalidRequest, NarrowingKey
from tests.support.deployment import API, READ, WRITE, reason
from tests.tokens.chains import closed, handed_on_to, root_token

OPTIONS = {"scopes": [READ, WRITE], "resources": [API], "max_hops": 3}


def call(zone, mandate, path="/json", method="GET") -> httpx.Response:
    headers = {
        "authorization": f"Bearer {mandate.token.reveal()}",
        "x-caracal-resource": API,
    }
    running = zone.deployment.running
    return zone.deployment.http.request(method, f"{running.gateway}{path}", headers=headers)


@pytest.fixture(scope="module")
def zone(deployment):
    return deployment.zone()


def test_one_mandate_is_good_for_many_calls_and_each_counts_once(zone, caracal):
    with caracal.session(**OPTIONS) as session:
        held = session.narrowable(API)
        minted = len(zone.evidence(kind="exchange"))
        first, second = held.for_call(), held.for_call([READ], ttl=timedelta(minutes=2))
        assert second.scopes.render() == READ
        assert second.lifetime == timedelta(minutes=2)
        assert [call(zone, it).status_code for it in (first, second)] == [200, 200]
        assert reason(call(zone, first)) == "mandate_replayed"
        assert len(zone.evidence(kind="exchange")) == minted
    assert reason(call(zone, held.for_call())) == "mandate_revoked"


async def test_helpers_narrow_what_was_handed_to_them(zone, acaracal):
    child, grandchild = NarrowingKey.generate(), NarrowingKey.generate()
    async with acaracal.session(**OPTIONS) as session:
        held = await session.narrowable(API)
        assert (held.hand_ons, held.scopes.render()) == (2, f"{READ} {WRITE}")
        received = child.receive(held.hand_on(child.public, [READ], hand_ons=1))
        last = grandchild.receive(received.hand_on(grandchild.public, [READ]))
        assert (last.hand_ons, last.resources, last.scopes.render()) == (0, (API,), READ)
        assert call(zone, last.for_call()).status_code == 200
        assert reason(call(zone, last.for_call(), "/sink", "POST")) == "operation_scope_missing"
        with pytest.raises(InvalidRequest) as refused:
            last.hand_on(child.public, [READ])
        assert refused.value.code == "narrowing_too_deep"


def test_more_than_is_held_is_refused_before_anything_is_sent():
    key, other = NarrowingKey.generate(), NarrowingKey.generate()
    held = key.receive(handed_on_to(key.public))
    for attempt, code in (
        (lambda: held.for_call(["rows:drop"]), "narrowing_widens"),
        (lambda: held.for_call([]), "narrowing_widens"),
        (lambda: held.for_call("rows:read"), "scope_missing"),
        (lambda: held.for_call(['"']), "scope_unknown"),
        (lambda: held.for_call(ttl=timedelta(days=36500)), "narrowing_widens"),
        (lambda: held.for_call(ttl=timedelta(0)), "narrowing_widens"),
        (lambda: held.for_call(ttl=timedelta(milliseconds=900)), "narrowing_widens"),
        (lambda: held.hand_on("no key", ["rows:read"]), "invalid_options"),
        (lambda: held.hand_on(other.public, ["rows:read"], hand_ons=1), "narrowing_too_deep"),
        (lambda: held.hand_on(other.public, ["rows:read"], hand_ons=-1), "narrowing_too_deep"),
        (lambda: other.receive(held.chain), "narrowing_broken"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            attempt()
        assert refused.value.code == code


def test_what_has_ended_is_not_narrowed_any_more():
    key = NarrowingKey.generate()
    held = key.receive(handed_on_to(key.public, expires_at=None))
    with pytest.raises(InvalidRequest) as refused:
        held.for_call()
    assert refused.value.code == "narrowing_widens"


@pytest.mark.parametrize("text", ["", "a.b.c", "~", "x~a.b", closed().decode(), "é.é.é"])
def test_what_can_not_be_narrowed_is_not_received(text):
    with pytest.raises(InvalidRequest):
        NarrowingKey.generate().receive(text)


def test_what_is_bound_to_another_key_is_not_received():
    with pytest.raises(InvalidRequest, match="another key"):
        NarrowingKey.generate().receive(root_token().decode())


def test_nothing_that_is_kept_shows_in_text():
    key = NarrowingKey.generate()
    held = key.receive(handed_on_to(key.public))
    assert held.chain not in repr(held)
    assert held.for_call().token.reveal() not in repr(held.for_call())


def test_a_chain_that_nobody_would_read_is_not_made():
    key = NarrowingKey.generate()
    held = key.receive(handed_on_to(key.public, targets=300))
    with pytest.raises(InvalidRequest) as refused:
        held.for_call()
    assert refused.value.code == "mandate_too_large"
