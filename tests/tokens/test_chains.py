"""Narrowing without the issuer: no chain says more, lives longer or reaches further than its root."""

import hashlib
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.mandates import Bound, Holder, MandateClass
from caracal.authority.narrowing import MAX_LINKS, Link, narrowed
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import ScopeSet
from caracal.tokens import base64url
from caracal.tokens.holders import (
    HolderKey,
    parse_holder,
    public_key,
    render_holder,
    thumbprint,
)
from caracal.tokens.jws import MAX_TOKEN_BYTES
from caracal.tokens.keys import InvalidKey
from caracal.tokens.links import sign_link
from caracal.tokens.mandates import mint
from caracal.tokens.refusal import TokenRefused
from tests.tokens.chains import (
    HAND_ONS,
    HOLDERS,
    LIFETIME,
    bound_mandate,
    chain,
    closed,
    link,
    links,
    prove,
    root_token,
    signed_as,
    stated,
)
from tests.tokens.mandate_examples import KEY, NOW, mandate_of_hops, signed, verify

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256: s and ORDER - s sign the same text."""


def reason_of(token: bytes, **expectations) -> Reason:
    with pytest.raises(TokenRefused) as refused:
        prove(token, **expectations)
    return refused.value.reason


def handed_on(times: int) -> bytes:
    return closed(hand_ons=tuple(range(HAND_ONS - 1, HAND_ONS - 1 - times, -1)))


@st.composite
def within(draw) -> tuple[list[Link], Link]:
    """Links of which each narrows the one before, and one that closes."""
    held, left, steps = bound_mandate(), HAND_ONS, []
    for closes in [False] * draw(st.integers(0, HAND_ONS)) + [True]:
        left = 0 if closes else draw(st.integers(0, left - 1))
        held = link(
            None if closes else draw(st.sampled_from(range(len(HOLDERS)))),
            left,
            scopes=ScopeSet(
                frozenset(draw(st.sets(st.sampled_from(list(held.scopes)), min_size=1)))
            ),
            resources=tuple(
                draw(st.lists(st.sampled_from(held.resources), min_size=1, unique=True))
            ),
            expires_at=NOW
            + timedelta(seconds=draw(st.integers(1, (held.expires_at - NOW).seconds))),
        )
        steps.append(held)
        if not closes and left == 0:
            break
    last = link(scopes=held.scopes, resources=held.resources, expires_at=held.expires_at)
    return (steps[:-1], held) if held.bound is None else (steps, last)


@given(st.tuples(st.lists(links(closes=False), max_size=5), links(closes=True)) | within())
def test_no_chain_ever_widens_or_outlives_its_root(drawn):
    steps, last = drawn
    root = bound_mandate()
    keys = [HOLDERS[0], *(_key_of(step) for step in steps)]
    token = chain(root_token(), *zip([*steps, last], keys, strict=True))
    if not _narrows([*steps, last]):
        assert reason_of(token) in {Reason.NARROWING_WIDENS, Reason.NARROWING_TOO_DEEP}
        return
    proven = prove(token).mandate
    for step in (root, *steps, last):
        assert proven.scopes.within(step.scopes)
        assert set(proven.resources) <= set(step.resources)
        assert proven.expires_at <= step.expires_at
    assert proven.hops == root.hop_count + len(steps) <= root.hop_count + HAND_ONS
    unchanged = ("id", "scopes", "resources", "expires_at", "bound", "origins")
    assert (
        msgspec.structs.replace(proven, **{name: getattr(root, name) for name in unchanged}) == root
    )


def _key_of(step: Link) -> HolderKey:
    return next(key for key in HOLDERS if step.bound and key.holder == step.bound.holder)


def _narrows(steps: list[Link]) -> bool:
    """The rules, said once more and apart."""
    before, left = bound_mandate(), HAND_ONS
    for step in steps:
        if (
            not set(step.scopes) <= set(before.scopes)
            or not set(step.resources) <= set(before.resources)
            or step.expires_at > before.expires_at
            or (step.bound is not None and step.bound.hand_ons > left - 1)
        ):
            return False
        before, left = step, 0 if step.bound is None else step.bound.hand_ons
    return True


def test_a_closed_chain_names_what_it_was_narrowed_from_and_by_which_keys():
    token = handed_on(2)
    root, first, second, last = token.split(b"~")
    proven = prove(token).mandate
    ids = [bound_mandate().id, *(_id(part) for part in (first, second))]
    assert [origin.id for origin in proven.origins] == ids
    assert [it.thumbprint for it in proven.origins] == [thumbprint(k.holder) for k in HOLDERS[:3]]
    assert proven.id == _id(last)
    assert proven.bound is None
    assert root.decode() == mint(bound_mandate(), KEY)


def _id(part: bytes) -> str:
    return base64url.encode(hashlib.sha256(part.rpartition(b".")[0]).digest()).decode()


def test_a_bound_mandate_counts_for_nothing_by_itself():
    assert reason_of(root_token()) is Reason.NARROWING_UNFINISHED
    with pytest.raises(TokenRefused) as refused:
        verify(root_token())
    assert refused.value.reason is Reason.NARROWING_UNFINISHED


def test_a_mandate_that_names_no_holder_needs_no_link_and_takes_none():
    plain = mint(mandate_of_hops(2), KEY).encode()
    assert prove(plain) == verify(plain)
    token = chain(plain, (link(), HOLDERS[0]))
    assert reason_of(token) is Reason.NARROWING_BROKEN


@pytest.mark.parametrize("times", range(HAND_ONS + 1))
def test_dropping_the_last_links_leaves_nothing_that_counts(times):
    parts = handed_on(times).split(b"~")
    for kept in range(1, len(parts)):
        assert reason_of(b"~".join(parts[:kept])) is Reason.NARROWING_UNFINISHED


@given(st.permutations(range(5)))
def test_links_count_in_their_order_only(order):
    parts = handed_on(3).split(b"~")
    shuffled = b"~".join(parts[at] for at in order)
    if list(order) == sorted(order):
        prove(shuffled)
    else:
        reason_of(shuffled)


@pytest.mark.parametrize("dropped", [1, 2, 3])
def test_a_link_in_the_middle_can_not_be_left_out(dropped):
    parts = handed_on(3).split(b"~")
    del parts[dropped]
    reason_of(b"~".join(parts))


def test_a_link_is_no_part_of_another_chain_of_the_same_holder():
    one, two = root_token(), root_token(id="another")
    moved = chain(one, (link(), HOLDERS[0])).split(b"~")[1]
    assert reason_of(two + b"~" + moved) is Reason.NARROWING_BROKEN


def test_nothing_follows_the_link_that_closes_a_chain():
    whole = closed()
    more = sign_link(whole.split(b"~")[-1], link(), HOLDERS[0])
    assert reason_of(whole + b"~" + more) is Reason.NARROWING_BROKEN
    assert reason_of(whole + b"~" + whole.split(b"~")[-1]) is Reason.NARROWING_BROKEN


@given(st.data())
def test_one_flipped_bit_anywhere_refuses(data):
    token = bytearray(handed_on(1))
    at = data.draw(st.integers(0, len(token) - 1))
    token[at] ^= 1 << data.draw(st.integers(0, 7))
    reason_of(bytes(token))


def test_of_the_two_signatures_of_a_text_both_are_one_link():
    whole = closed()
    signed_part, _, signature = whole.rpartition(b".")
    r_s = base64url.decode(signature)
    other = r_s[:32] + (ORDER - int.from_bytes(r_s[32:])).to_bytes(32)
    twin = signed_part + b"." + base64url.encode(other)
    assert twin != whole
    assert prove(twin).mandate.id == prove(whole).mandate.id


@pytest.mark.parametrize("times", [0, 1])
def test_another_signature_on_what_comes_before_breaks_the_chain(times):
    parts = handed_on(1).split(b"~")
    signed_part, _, signature = parts[times].rpartition(b".")
    r_s = base64url.decode(signature)
    other = r_s[:32] + (ORDER - int.from_bytes(r_s[32:])).to_bytes(32)
    parts[times] = signed_part + b"." + base64url.encode(other)
    assert reason_of(b"~".join(parts)) is Reason.NARROWING_BROKEN


@pytest.mark.parametrize("key", [HOLDERS[1], HolderKey(KEY)], ids=["another holder", "the zone"])
def test_a_link_counts_only_by_the_key_that_the_one_before_names(key):
    token = chain(root_token(), (link(), key))
    assert reason_of(token) is Reason.MANDATE_SIGNATURE


def test_the_readers_of_mandates_and_links_do_not_take_each_others_tokens():
    """Even where one key signs both."""
    root = root_token(bound=Bound(HolderKey(KEY).holder, 1))
    follows = sign_link(root, link(), HolderKey(KEY))
    prove(root + b"~" + follows)
    assert reason_of(root + b"~" + root_token()) is Reason.MANDATE_MALFORMED
    assert reason_of(follows) is Reason.MANDATE_MALFORMED
    assert reason_of(signed(stated(closed()))) is Reason.MANDATE_MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "caracal-narrowing+jwt"},
        {"alg": "HS256", "typ": "caracal-narrowing+jwt"},
        {"alg": "ES256", "typ": "at+jwt"},
        {"alg": "ES256", "typ": "caracal-narrowing+JWT"},
        {"alg": "ES256"},
        {"alg": "ES256", "typ": "caracal-narrowing+jwt", "kid": "key-1"},
        {"alg": "ES256", "typ": "caracal-narrowing+jwt", "jku": "https://a.example"},
        {"alg": "ES256", "typ": "caracal-narrowing+jwt", "jwk": {"kty": "EC"}},
        {"alg": "ES256", "typ": "caracal-narrowing+jwt", "crit": ["exp"]},
        b'{"alg":"ES256","typ":"caracal-narrowing+jwt","typ":"caracal-narrowing+jwt"}',
        b"[]",
        b"\xff",
        b"[" * 2000,
    ],
)
def test_a_link_has_exactly_two_header_members(header):
    root = root_token()
    claims = stated(chain(root, (link(), HOLDERS[0])))
    token = root + b"~" + signed_as(claims, HOLDERS[0], header)
    assert reason_of(token) in {Reason.MANDATE_MALFORMED, Reason.MANDATE_SIGNATURE}


MISSING = object()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, MISSING) for name in ("prev", "jti", "iat", "exp", "scope", "target")),
        ("prev", "x"),
        ("jti", "a b"),
        ("iat", -1),
        ("exp", "1"),
        ("exp", int(NOW.timestamp())),
        ("exp", 10**18),
        ("scope", ""),
        ("scope", " "),
        ("scope", 'a"'),
        ("scope", ["rows:read"]),
        ("target", []),
        ("target", "resource://a"),
        ("target", ["a b"]),
        ("cnf", None),
        ("cnf", {}),
        ("cnf", {"jkt": "x" * 43}),
        ("cnf", {"jwk": {"crv": "P-256", "kty": "EC", "x": "A" * 42 + "B", "y": "A" * 43}}),
        ("cnf", {"jwk": {"crv": "P-256", "kty": "EC", "x": "A" * 43, "y": "A" * 43, "d": "A"}}),
        ("hand_ons", 1),
        ("hand_ons", -1),
        ("aud", "x"),
        ("sub", "app-2"),
    ],
)
def test_a_link_with_other_claims_is_refused(name, value):
    root = root_token()
    claims = stated(chain(root, (link(), HOLDERS[0])))
    claims[name] = value
    if value is MISSING:
        del claims[name]
    assert reason_of(root + b"~" + signed_as(claims, HOLDERS[0])) is Reason.MANDATE_MALFORMED


def test_a_claim_that_is_stated_twice_is_refused():
    root = root_token()
    text = base64url.decode(chain(root, (link(), HOLDERS[0])).split(b"~")[1].split(b".")[1])
    twice = text[:-1] + b',"scope":"rows:read"}'
    assert reason_of(root + b"~" + signed_as(twice, HOLDERS[0])) is Reason.MANDATE_MALFORMED


def test_members_may_come_in_another_order():
    root = root_token()
    claims = dict(reversed(stated(chain(root, (link(), HOLDERS[0]))).items()))
    prove(root + b"~" + signed_as(claims, HOLDERS[0]))


@given(st.binary(max_size=200) | st.text("~.eyJhbGciOi", max_size=200).map(str.encode))
def test_whatever_follows_a_mandate_ends_in_a_refusal(tail):
    reason_of(root_token() + b"~" + tail)
    reason_of(tail)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_whatever_a_holder_signs_ends_in_a_refusal_or_within_the_root(value):
    root = root_token()
    for claims in (value, stated(closed()) | {"scope": value}, stated(closed()) | {"cnf": value}):
        reason_of(root + b"~" + signed_as(claims, HOLDERS[0]))


def test_a_key_that_is_no_point_of_the_curve_signs_nothing():
    nowhere = Bound(Holder("A" * 43, "A" * 43), 1)
    token = chain(root_token(), (link(bound=nowhere), HOLDERS[0]), (link(), HOLDERS[1]))
    assert reason_of(token) is Reason.MANDATE_SIGNATURE


def test_a_coordinate_beyond_the_field_is_no_second_spelling_of_a_key():
    """5 and 5 + p are one coordinate to OpenSSL, and would be two thumbprints in the evidence."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    any_point = HOLDERS[0].private.public.key.public_numbers()
    b = any_point.y**2 - any_point.x**3 + 3 * any_point.x
    y = pow(5**3 - 3 * 5 + b, (prime + 1) // 4, prime)
    once, again = (
        Holder(*(base64url.encode(n.to_bytes(32)).decode() for n in (x, y))) for x in (5, 5 + prime)
    )
    assert public_key(once).key.public_numbers().x == 5
    with pytest.raises(InvalidKey, match="field"):
        parse_holder(render_holder(again))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scopes": ScopeSet.of("rows:read", "rows:drop")}, Reason.NARROWING_WIDENS),
        ({"resources": ("resource://c",)}, Reason.NARROWING_WIDENS),
        ({"expires_at": NOW + LIFETIME + timedelta(seconds=1)}, Reason.NARROWING_WIDENS),
        ({"bound": Bound(HOLDERS[1].holder, HAND_ONS)}, Reason.NARROWING_TOO_DEEP),
        ({"issued_at": NOW + timedelta(seconds=61)}, Reason.MANDATE_NOT_YET_VALID),
    ],
)
def test_a_link_that_states_more_refuses_the_whole_chain(changes, reason):
    assert reason_of(chain(root_token(), (link(**changes), HOLDERS[0]))) is reason


def test_a_refusal_names_the_link_and_what_was_minted():
    """So entries tell whose mandate somebody tried to widen."""
    token = chain(root_token(), (link(scopes=ScopeSet.of("rows:drop")), HOLDERS[0]))
    with pytest.raises(TokenRefused) as refused:
        prove(token)
    assert f"link 1 after mandate {bound_mandate().id}: " in refused.value.detail


def test_a_chain_ends_with_its_last_link_and_not_with_its_root():
    token = closed()
    prove(token, now=NOW + timedelta(seconds=359))
    assert reason_of(token, now=NOW + timedelta(seconds=360)) is Reason.MANDATE_EXPIRED


def test_what_is_asked_of_a_mandate_is_asked_of_the_root_of_a_chain():
    token = closed()
    assert reason_of(token, issuer="https://other.example") is Reason.MANDATE_ISSUER
    assert reason_of(token, zone_id="other") is Reason.MANDATE_ZONE
    assert reason_of(token, audience="other") is Reason.MANDATE_AUDIENCE
    assert reason_of(token, mandate_classes=(MandateClass.RESOURCE,)) is Reason.MANDATE_CLASS
    assert reason_of(token, now=NOW - timedelta(minutes=5)) is Reason.MANDATE_NOT_YET_VALID


def test_a_mandate_that_may_not_be_handed_on_can_only_be_closed():
    root = root_token(bound=Bound(HOLDERS[0].holder, 0))
    prove(chain(root, (link(), HOLDERS[0])))
    token = chain(root, (link(1, 0), HOLDERS[0]), (link(), HOLDERS[1]))
    assert reason_of(token) is Reason.NARROWING_TOO_DEEP


def test_the_deepest_chain_is_read_and_a_deeper_one_is_not():
    root = mint(
        mandate_of_hops(1, applications=1, bound=Bound(HOLDERS[0].holder, MAX_LINKS - 1)), KEY
    )
    wanted = {"resources": ("resource://datasette",)}
    steps = [(link(0, left, **wanted), HOLDERS[0]) for left in range(MAX_LINKS - 2, -1, -1)]
    token = chain(root.encode(), *steps, (link(**wanted), HOLDERS[0]))
    assert len(token) < MAX_TOKEN_BYTES
    assert prove(token).mandate.hops == 1 + MAX_LINKS - 1
    assert reason_of(token + b"~x") is Reason.NARROWING_TOO_DEEP


def test_a_chain_that_is_too_large_is_refused_before_anything_is_verified():
    token = closed() + b"~" + b"x" * MAX_TOKEN_BYTES
    assert reason_of(token) is Reason.MANDATE_TOO_LARGE


def test_the_algebra_refuses_what_follows_a_closing_link():
    outcome = narrowed(mandate_of_hops(1), "thumbprint", link())
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.NARROWING_BROKEN


def test_a_resource_mandate_says_what_it_was_narrowed_from_and_others_may_not():
    narrow = prove(handed_on(1)).mandate
    minted = msgspec.structs.replace(
        narrow, mandate_class=MandateClass.RESOURCE, audience=("resource://a",)
    )
    expected = {"mandate_classes": (MandateClass.RESOURCE,), "audience": "resource://a"}
    proven = verify(mint(minted, KEY), **expected).mandate
    assert proven == minted
    assert proven.hops == minted.hop_count + 1
    with pytest.raises(ValueError, match="only a resource mandate"):
        mint(narrow, KEY)


def test_the_key_of_a_holder_has_one_spelling():
    holder = HOLDERS[0].holder
    text = render_holder(holder)
    assert parse_holder(text) == holder
    assert base64url.encode(hashlib.sha256(text).digest()).decode() == thumbprint(holder)
    assert public_key(holder).key == HOLDERS[0].private.public.key


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b'{"crv":"P-384","kty":"EC","x":"%b","y":"%b"}' % (b"A" * 43, b"A" * 43),
        b'{"crv":"P-256","kty":"EC","x":"%b","y":"%b"}' % (b"A" * 43, b"A" * 43),
        b'{"crv":"P-256","kty":"EC","x":"%b","y":"%b"}' % (b"A" * 42 + b"B", b"A" * 43),
        b'{"crv":"P-256","kty":"EC","x":"%b","y":"%b","kid":"1"}' % (b"A" * 43, b"A" * 43),
        b"[" * 2000,
    ],
)
def test_what_is_no_public_key_of_a_holder_is_refused(document):
    with pytest.raises(InvalidKey):
        parse_holder(document)


def test_the_private_half_does_not_show():
    key = HolderKey.generate()
    number = key.private.private.private_numbers().private_value
    assert str(number) not in repr(key)
    assert isinstance(key.private.private, ec.EllipticCurvePrivateKey)
