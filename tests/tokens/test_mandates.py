import copy
import json
import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.mandates import Hop, MandateClass, SubjectType
from caracal.authority.outcomes import Reason
from caracal.authority.scopes import NO_SCOPES
from caracal.tokens import base64url
from caracal.tokens.jws import MAX_TOKEN_BYTES, RawToken
from caracal.tokens.mandates import VerifiedMandate, mint, unverified_routing
from caracal.tokens.refusal import TokenRefused
from tests.tokens.mandate_examples import (
    ISSUER,
    KEY,
    KEYS,
    LIFETIME,
    NOW,
    OTHER_KEY,
    ids,
    mandate_of_hops,
    mandates,
    signed,
    ulid,
    verify,
)


def claims_in(token: str) -> dict:
    return json.loads(base64url.decode(token.split(".")[1].encode()))


def reason_of(token: str | bytes, **expectations) -> Reason:
    with pytest.raises(TokenRefused) as refused:
        verify(token, **expectations)
    return refused.value.reason


@given(mandates())
def test_what_was_minted_is_what_is_verified(mandate):
    proven = verify(mint(mandate, KEY), mandate_classes=MandateClass, audience=mandate.audience[-1])
    assert proven.mandate == mandate
    assert proven == verify(
        mint(mandate, KEY), mandate_classes=MandateClass, audience=mandate.audience[0]
    )
    assert len({proven}) == 1


def test_minting_the_same_mandate_twice_gives_the_same_bytes():
    assert mint(mandate_of_hops(2), KEY) == mint(mandate_of_hops(2), KEY)


def test_parts_of_a_second_never_lengthen_a_mandate():
    odd = mandate_of_hops(0, expires_at=NOW + timedelta(seconds=60, microseconds=999_999))
    assert verify(mint(odd, KEY)).mandate.expires_at == NOW + timedelta(seconds=60)


def test_optional_claims_that_say_nothing_are_left_out():
    bare = mandate_of_hops(0, resources=(), graph_epoch=0, scopes=NO_SCOPES)
    required = {"iss", "sub", "aud", "exp", "iat", "jti", "zone_id", "client_id", "sid", "root_sid"}
    assert set(claims_in(mint(bare, KEY))) == required | {"use", "sub_type"}


def test_the_audience_may_be_read_as_one_string_but_is_written_as_a_list():
    claims = claims_in(mint(mandate_of_hops(1), KEY))
    assert claims["aud"] == [ISSUER]
    claims["aud"] = ISSUER
    assert verify(signed(claims)).mandate.audience == (ISSUER,)


def test_members_may_come_in_another_order():
    claims = dict(reversed(claims_in(mint(mandate_of_hops(3), KEY)).items()))
    assert verify(signed(claims)).mandate == mandate_of_hops(3)


def test_actors_are_nested_with_the_present_one_outermost():
    claims = claims_in(mint(mandate_of_hops(2), KEY))
    assert claims["act"] == {
        "sub": ulid(302),
        "act": {"sub": ulid(301), "act": {"sub": ulid(300)}},
    }


def test_an_application_that_hands_on_to_itself_is_named_once_as_actor():
    assert claims_in(mint(mandate_of_hops(3, applications=1), KEY))["act"] == {"sub": ulid(300)}


def test_ten_hops_stay_readable():
    assert len(mint(mandate_of_hops(10), KEY)) < MAX_TOKEN_BYTES
    # What stock servers read as a bearer: reached by ten hops inside one application.
    assert len(mint(mandate_of_hops(10, applications=1), KEY)) <= 4_096
    assert len(mint(mandate_of_hops(8), KEY)) <= 4_096


def test_a_mandate_that_verifiers_would_not_read_is_not_minted():
    many = tuple(f"resource://{'x' * 200}/{i}" for i in range(64))
    with pytest.raises(TokenRefused) as refused:
        mint(mandate_of_hops(0, resources=many), KEY)
    assert refused.value.reason is Reason.MANDATE_TOO_LARGE
    assert "fewer resources" in refused.value.detail


def _stranger(mandate, at, **hop):
    chain = list(mandate.chain)
    old = chain[at]
    values = {
        "application_id": old.application_id,
        "session_id": old.session_id,
        "delegation_id": old.delegation_id,
    }
    chain[at] = Hop(**(values | hop))
    return tuple(chain)


TWO = mandate_of_hops(2)
CONTRADICTIONS = {
    "expires before issued": {"expires_at": NOW},
    "chain without delegation": {"delegation_path": ()},
    "a hop missing": {"chain": TWO.chain[1:]},
    "another delegation": {"chain": _stranger(TWO, 0, delegation_id="E9")},
    "receiver with a delegation": {"chain": _stranger(TWO, -1, delegation_id="E9")},
    "another session": {"chain": _stranger(TWO, -1, session_id="S9")},
    "no session": {"session_path": (), "chain": _stranger(TWO, -1, session_id=None)},
    "another application": {"chain": _stranger(TWO, -1, application_id="A9")},
    "an application somebody vouches for": {"subject_issuer": "https://id.example"},
    "an application that is no identifier": {"subject": "a b"},
    "a user nobody vouches for": {"subject_type": SubjectType.USER},
    "a user with a reserved name": {
        "subject_type": SubjectType.USER,
        "subject_issuer": "https://id.example",
        "subject": "caracal:shared",
    },
}


@pytest.mark.parametrize("changes", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_mandate_that_contradicts_itself_is_not_minted(changes):
    with pytest.raises(ValueError, match="inconsistent"):
        mint(mandate_of_hops(2, **changes), KEY)


EXPECTATIONS = {
    "issuer": ({"issuer": "https://sts.example.com/"}, Reason.MANDATE_ISSUER),
    "zone": ({"zone_id": "zone-2"}, Reason.MANDATE_ZONE),
    "class": ({"mandate_classes": (MandateClass.SESSION,)}, Reason.MANDATE_CLASS),
    "no class": ({"mandate_classes": ()}, Reason.MANDATE_CLASS),
    "audience": ({"audience": "resource://datasette"}, Reason.MANDATE_AUDIENCE),
    "part of the audience": ({"audience": ISSUER[:-1]}, Reason.MANDATE_AUDIENCE),
}


@pytest.mark.parametrize(("wanted", "reason"), EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_a_mandate_for_something_else_is_refused_with_what_differs(wanted, reason):
    assert reason_of(mint(mandate_of_hops(1), KEY), **wanted) is reason


@pytest.mark.parametrize("leeway", [timedelta(0), timedelta(seconds=60)])
def test_time_is_judged_to_the_second_at_both_ends(leeway):
    token = mint(mandate_of_hops(1), KEY)
    second = timedelta(seconds=1)
    first, end = NOW - leeway, NOW + LIFETIME + leeway
    assert verify(token, now=first, leeway=leeway)
    assert reason_of(token, now=first - second, leeway=leeway) is Reason.MANDATE_NOT_YET_VALID
    assert verify(token, now=end - second, leeway=leeway)
    assert reason_of(token, now=end, leeway=leeway) is Reason.MANDATE_EXPIRED


def test_a_key_that_is_not_accepted_is_named_as_the_cause():
    assert reason_of(mint(mandate_of_hops(1), OTHER_KEY)) is Reason.MANDATE_KEY_UNKNOWN


def test_a_retiring_key_is_accepted_until_it_is_gone():
    token = mint(mandate_of_hops(1), KEY)
    rotated = KEYS.rotated(OTHER_KEY.public)
    assert verify(token, keys=rotated)
    gone = rotated.without(KEY.kid)
    assert reason_of(token, keys=gone) is Reason.MANDATE_KEY_UNKNOWN


REQUIRED = [
    "iss", "sub", "aud", "exp", "iat", "jti", "zone_id", "client_id", "sid", "root_sid", "use",
    "sub_type",
]  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_claim_that_is_missing_refuses(name):
    claims = claims_in(mint(mandate_of_hops(1), KEY))
    del claims[name]
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED


@pytest.mark.parametrize("name", [*claims_in(mint(mandate_of_hops(2), KEY))])
@pytest.mark.parametrize("value", [None, True, 1.5, -1, "", [], {}, "a\u0000", 2**70, ["", "x"]])
def test_a_claim_of_the_wrong_type_or_empty_refuses(name, value):
    claims = claims_in(mint(mandate_of_hops(2), KEY)) | {name: value}
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED


CHANGES = {
    "hop_count": 3,
    "delegation_edge_id": "E9",
    "source_session_id": "S9",
    "target_session_id": "S9",
    "agent_session_id": "S9",
    "act": {"sub": "A9"},
    "client_id": "A9",
    "delegation_path": ["E9", "E8"],
    "iat": int((NOW + LIFETIME).timestamp()),
}


@pytest.mark.parametrize(("name", "value"), CHANGES.items(), ids=CHANGES)
def test_claims_that_say_the_same_thing_twice_must_agree(name, value):
    claims = claims_in(mint(mandate_of_hops(2), KEY)) | {name: value}
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED


@pytest.mark.parametrize("name", ["nbf", "cnf", "azp", "ZONE_ID", "caracal:limit"])
def test_a_claim_that_no_one_accounts_for_refuses(name):
    claims = claims_in(mint(mandate_of_hops(1), KEY)) | {name: 1}
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED


def test_a_claim_stated_twice_refuses():
    payload = base64url.decode(mint(mandate_of_hops(1), KEY).split(".")[1].encode())
    twice = payload[:-1] + b',"zone_id":"' + ulid(2).encode() + b'"}'
    assert reason_of(signed(twice)) is Reason.MANDATE_MALFORMED
    inside = payload.replace(b'"act":{', b'"act":{"sub":"x",')
    assert reason_of(signed(inside)) is Reason.MANDATE_MALFORMED


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"{", b"\xff", b'{"act":' * 700, b'"\\ud800"', b"{}" * 2],
    ids=repr,
)
def test_signed_nonsense_refuses(payload):
    assert reason_of(signed(payload)) is Reason.MANDATE_MALFORMED


def test_a_bottomless_actor_refuses():
    payload = base64url.decode(mint(mandate_of_hops(1), KEY).split(".")[1].encode())
    deep = payload.split(b'"act":')[0] + b'"act":' + b'{"act":' * 600
    assert reason_of(signed(deep)) is Reason.MANDATE_MALFORMED


def test_a_scope_with_characters_outside_the_grammar_refuses():
    claims = claims_in(mint(mandate_of_hops(1), KEY)) | {"scope": 'read "quoted"'}
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED
    claims |= {"scope": "read", "target": ["not a uri"]}
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED


def test_a_lone_surrogate_refuses():
    claims = claims_in(mint(mandate_of_hops(1), KEY)) | {"iss": "\ud800"}
    assert reason_of(signed(claims)) in {Reason.MANDATE_MALFORMED, Reason.MANDATE_ISSUER}


def test_only_verification_makes_a_verified_mandate():
    with pytest.raises(TypeError):
        VerifiedMandate(mandate_of_hops(1), object())
    proven = verify(mint(mandate_of_hops(1), KEY))
    with pytest.raises(TypeError):
        pickle.dumps(proven)
    with pytest.raises(TypeError):
        copy.copy(proven)
    with pytest.raises(AttributeError):
        proven.mandate = mandate_of_hops(2)
    assert "VerifiedMandate" in repr(proven)
    assert proven != proven.mandate


def test_routing_tells_where_to_look_for_keys_and_nothing_more():
    routing = unverified_routing(RawToken(mint(mandate_of_hops(1), OTHER_KEY).encode()))
    assert (routing.zone_id, routing.kid) == (ulid(2), "key-2")


@pytest.mark.parametrize(
    "claims", [{}, {"zone_id": 1}, {"zone_id": "a/b"}, {"zone_id": ""}, b"[", b'{"x":' * 900]
)
def test_routing_without_a_usable_zone_refuses(claims):
    with pytest.raises(TokenRefused) as refused:
        unverified_routing(RawToken(signed(claims)))
    assert refused.value.reason is Reason.MANDATE_MALFORMED


@given(
    st.dictionaries(
        ids,
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ids, inner, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_any_signed_object_is_accepted_whole_or_refused_with_a_reason(claims):
    assert reason_of(signed(claims)) is Reason.MANDATE_MALFORMED


@given(st.data())
def test_any_change_to_the_claims_is_accepted_whole_or_refused_with_a_reason(data):
    claims = claims_in(mint(mandate_of_hops(2), KEY))
    name = data.draw(st.sampled_from(sorted(claims)))
    claims[name] = data.draw(
        st.none() | st.integers() | st.text(max_size=40) | st.lists(st.text(max_size=9), max_size=3)
    )
    try:
        mandate = verify(signed(claims)).mandate
    except TokenRefused:
        return
    assert claims_in(mint(mandate, KEY)).keys() <= claims.keys()
