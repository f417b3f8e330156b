from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from caracal.authority.mandates import MandateClass
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.verify import UNTIL_EXPIRY, Expected, NotVerified, Requirements
from caracal.verify.decision import decide
from tests.verify.examples import EXPECTED, KEY, NOW, TRUST, Server, token, ulid
from tests.verify.test_narrowed_mandates_are_decided import narrowed

_SOME = {
    "scopes": st.sets(st.sampled_from(["orders:read", "orders:write", "other"])),
    "targets": st.sets(st.sampled_from(["resource://orders", "resource://mail"])),
    "uses": st.sets(st.sampled_from(["resource", "session"]), min_size=1),
    "require_session": st.booleans(),
    "require_delegation": st.booleans(),
    "chain_contains": st.sets(st.sampled_from([ulid(300), ulid(301), "nobody"])),
    "max_hops": st.integers(0, 10),
    "leeway": st.integers(0, 60).map(lambda seconds: timedelta(seconds=seconds)),
    "narrowed": st.booleans(),
}
settings_ = st.fixed_dictionaries({}, optional=_SOME)
requirements = settings_.map(lambda chosen: Requirements.of(**chosen))
_TOKENS = [
    token(hops, mandate_class=used)
    for hops in (0, 1, 2)
    for used in (MandateClass.RESOURCE, MandateClass.SESSION)
] + [narrowed().decode()]


def passes(raw: str, asked: Requirements, now=NOW) -> bool:
    try:
        decide(
            RawToken(raw.encode()),
            keys=KeySet(KEY.public),
            expected=EXPECTED,
            requirements=asked,
            revocations=UNTIL_EXPIRY,
            now=now,
        )
    except NotVerified:
        return False
    return True


def both(one: Requirements, other: Requirements) -> Requirements:
    assume(one.uses & other.uses)
    return one.and_also(other)


@given(requirements, requirements, requirements)
def test_joining_is_associative_commutative_and_idempotent(one, other, third):
    assert both(one, other) == both(other, one)
    assume(one.uses & other.uses & third.uses)
    assert one.and_also(other).and_also(third) == one.and_also(other.and_also(third))
    assert one.and_also(one) == one


@given(requirements, settings_, st.sampled_from(_TOKENS), st.sampled_from([0, 899, 904, 950]))
def test_nothing_passes_a_tightened_one_that_its_origin_refuses(base, settings, raw, after):
    try:
        tighter = base.tightened(**settings)
    except ValueError:
        assert not base.uses & set(map(MandateClass, settings["uses"]))
        return
    now = NOW + timedelta(seconds=after)
    assert passes(raw, base, now) or not passes(raw, tighter, now)


@given(requirements)
def test_what_a_route_does_not_mention_stays(base):
    assert base.tightened() == base


def test_a_requirement_can_not_be_taken_back():
    base = Requirements.of(scopes=["a"], require_session=True, max_hops=2, require_delegation=True)
    assert (
        base.tightened(scopes=[], require_session=False, max_hops=9, require_delegation=False)
        == base
    )
    with pytest.raises(ValueError, match="uses"):
        base.tightened(uses=["session"])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"required_scope": ["a"]}, TypeError),
        ({"scopes": "orders:read"}, TypeError),
        ({"chain_contains": "app"}, TypeError),
        ({"scopes": ["two words"]}, ValueError),
        ({"targets": ["no-uri"]}, ValueError),
        ({"uses": ["gateway"]}, ValueError),
        ({"uses": ["anything"]}, ValueError),
        ({"uses": []}, ValueError),
        ({"max_hops": 11}, ValueError),
        ({"max_hops": -1}, ValueError),
        ({"leeway": timedelta(seconds=61)}, ValueError),
        ({"leeway": timedelta(seconds=-1)}, ValueError),
        ({"chain_contains": ["not an id"]}, ValueError),
        ({"issuer": "https://other.example"}, TypeError),
    ],
)
def test_a_wrong_setting_is_told_when_the_verifier_is_made(wrong, error):
    server = Server()
    if "issuer" not in wrong:
        for make in (server.verifier, server.async_verifier):
            with pytest.raises(error):
                make(**wrong)
    for made in (server.verifier(), server.async_verifier()):
        with pytest.raises(error):
            made.require(**wrong)


def test_a_verifier_names_its_view_of_revocations():
    with pytest.raises(TypeError, match="revocations"):
        Server().verifier(revocations=None)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://caracal.example",
        "http://127.0.0.1.example",
        "http://127.1",
        "http://localhost.example",
        "ftp://caracal.example",
        "caracal.example",
        "https://",
        "https://user@caracal.example",
        "https://caracal.example?x=1",
        "https://caracal.example#x",
        "https://caracal.example:port",
        "https://caracal.example/\n",
        "",
    ],
)
def test_keys_are_never_fetched_over_a_network_in_the_clear(issuer):
    with pytest.raises(ValueError, match=r"https|host|[Pp]ort"):
        Expected.of(issuer, TRUST["audience"], TRUST["zone_id"])


@pytest.mark.parametrize(
    "issuer",
    ["https://caracal.example/sts", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"],
)
def test_https_and_loopback_are_fine(issuer):
    assert Expected.of(issuer, TRUST["audience"], TRUST["zone_id"]).issuer == issuer


def test_audience_and_zone_have_to_be_named():
    for audience, zone in (("", "z"), ("resource://a", ""), ("resource://a", "no id")):
        with pytest.raises(ValueError, match=r"audience|identifier"):
            Expected.of("https://caracal.example", audience, zone)
