"""The pure decision: what passes, and the code of what does not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.mandates import MandateClass
from caracal.authority.scopes import NO_SCOPES
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.mandates import mint
from caracal.verify import UNTIL_EXPIRY, Code, NotVerified, Requirements, Standing
from caracal.verify.decision import decide
from tests.tokens.mandate_examples import LIFETIME, OTHER_KEY
from tests.verify.examples import (
    EXPECTED,
    ISSUER,
    KEY,
    NOW,
    ORDERS,
    refusal,
    resource_mandate,
    token,
    ulid,
)


def judged(raw, *, now=NOW, expected=EXPECTED, revocations=UNTIL_EXPIRY, **settings):
    return decide(
        RawToken(raw.encode() if isinstance(raw, str) else raw),
        keys=KeySet(KEY.public),
        expected=expected,
        requirements=Requirements.of(**settings),
        revocations=revocations,
        now=now,
    )


def code(raw, **settings) -> Code:
    return refusal(judged, raw, **settings).code


def test_the_principal_says_who_acts_in_what_and_by_whose_hand():
    mandate = resource_mandate(2)
    principal = judged(mint(mandate, KEY))
    assert principal.mandate == mandate
    assert principal.subject == principal.application_id == mandate.application_id
    assert (principal.zone_id, principal.user) == (mandate.zone_id, None)
    assert principal.scopes == {"orders:read", "orders:write"}
    assert principal.targets == (ORDERS,)
    assert (principal.session_id, principal.delegation_id) == (ulid(202), ulid(101))
    assert [hop.application_id for hop in principal.chain] == [ulid(300), ulid(301), ulid(302)]
    assert (principal.hop_count, principal.expires_at) == (2, mandate.expires_at)
    assert principal.has_scope("orders:read")
    assert not principal.has_scope("orders")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": OTHER_KEY}, Code.INVALID_TOKEN),
        ({"issuer": "https://other.example"}, Code.INVALID_TOKEN),
        ({"audience": ("resource://mail",)}, Code.INVALID_TOKEN),
        ({"zone_id": "another"}, Code.INVALID_ZONE),
        ({"mandate_class": MandateClass.GATEWAY}, Code.INVALID_TOKEN),
        ({"mandate_class": MandateClass.SESSION}, Code.INVALID_TOKEN),
        ({"issued_at": NOW + timedelta(seconds=61)}, Code.INVALID_TOKEN),
    ],
)
def test_what_is_not_of_this_issuer_zone_use_audience_and_time_is_refused(changes, expected):
    assert code(token(**changes)) is expected


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=60)])
def test_a_mandate_ends_at_its_end_plus_the_leeway_and_not_a_moment_later(late):
    end = NOW + LIFETIME
    judged(token(), now=end + late - timedelta(microseconds=1), leeway=late)
    refused = refusal(judged, token(), now=end + late, leeway=late)
    assert (refused.code, refused.status) == (Code.INVALID_TOKEN, 401)
    assert "expired" in refused.description


def test_a_session_mandate_is_accepted_only_where_that_was_asked_for():
    raw = token(mandate_class=MandateClass.SESSION, hops=0)
    assert judged(raw, uses=["session"]).mandate.mandate_class is MandateClass.SESSION
    judged(raw, uses=["session", "resource"])
    assert code(token(), uses=["session"]) is Code.INVALID_TOKEN


@pytest.mark.parametrize(
    ("hops", "changes", "settings", "expected"),
    [
        (0, {}, {"require_session": True}, Code.SESSION_REQUIRED),
        (0, {"session_path": ("s",)}, {"require_delegation": True}, Code.DELEGATION_REQUIRED),
        (2, {}, {"chain_contains": ["somebody"]}, Code.CHAIN_MISMATCH),
        (2, {}, {"chain_contains": [ulid(301), "somebody"]}, Code.CHAIN_MISMATCH),
        (2, {}, {"max_hops": 1}, Code.HOP_COUNT_EXCEEDED),
        (1, {}, {"max_hops": 0}, Code.HOP_COUNT_EXCEEDED),
        (1, {}, {"scopes": ["orders:delete"]}, Code.INSUFFICIENT_SCOPE),
        (1, {}, {"scopes": ["orders:read", "orders:delete"]}, Code.INSUFFICIENT_SCOPE),
        (1, {"scopes": NO_SCOPES}, {"scopes": ["orders:read"]}, Code.INSUFFICIENT_SCOPE),
        (1, {"resources": ()}, {"targets": [ORDERS]}, Code.INVALID_TOKEN),
        (1, {}, {"targets": [ORDERS, "resource://mail"]}, Code.INVALID_TOKEN),
    ],
)
def test_each_requirement_refuses_with_its_own_code(hops, changes, settings, expected):
    raw = token(hops, **changes)
    judged(raw)
    refused = refusal(judged, raw, **settings)
    assert refused.code is expected
    assert refused.status == (401 if expected is Code.INVALID_TOKEN else 403)
    assert refused.fix


def test_what_fulfils_every_requirement_passes():
    judged(
        token(2),
        scopes=["orders:read"],
        targets=[ORDERS],
        require_session=True,
        require_delegation=True,
        chain_contains=[ulid(300), ulid(301)],
        max_hops=2,
    )


@pytest.mark.parametrize(
    ("standing", "expected", "status"),
    [
        (Standing.REVOKED, Code.SESSION_REVOKED, 401),
        (Standing.STALE, Code.DELEGATION_STALE, 401),
        (Standing.UNKNOWN, Code.REVOCATIONS_UNAVAILABLE, 503),
        (None, Code.REVOCATIONS_UNAVAILABLE, 503),
        (ConnectionError("down"), Code.REVOCATIONS_UNAVAILABLE, 503),
    ],
)
def test_only_a_standing_that_is_known_to_be_live_passes(standing, expected, status):
    class View:
        def standing(self, mandate, now):
            if isinstance(standing, Exception):
                raise standing
            return standing

    refused = refusal(judged, token(), revocations=View())
    assert (refused.code, refused.status) == (expected, status)


_RAW = token(2).encode()


@given(st.integers(0, len(_RAW) - 1), st.integers(1, 255))
def test_no_token_with_an_altered_byte_verifies(place, flip):
    altered = _RAW[:place] + bytes([_RAW[place] ^ flip]) + _RAW[place + 1 :]
    assert refusal(judged, altered).status == 401


@given(st.integers(0, len(_RAW)), st.integers(0, len(_RAW)), st.binary(max_size=20))
def test_no_token_with_a_part_replaced_verifies(start, end, part):
    altered = _RAW[: min(start, end)] + part + _RAW[max(start, end) :]
    if altered != _RAW:
        assert refusal(judged, altered).status == 401


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_bytes_come_the_answer_is_a_refusal_and_shows_none_of_them(raw):
    refused = refusal(judged, raw)
    assert refused.status == 401
    assert len(raw) < 16 or raw.decode("latin-1") not in str(refused)


def test_an_issuer_that_differs_by_a_slash_is_another_one():
    assert code(token(issuer=ISSUER + "/")) is Code.INVALID_TOKEN


def test_every_code_has_a_status_a_sentence_and_a_fix():
    for each in Code:
        refused = NotVerified(each)
        assert refused.status in (400, 401, 403, 503)
        assert refused.description
        assert refused.fix
        assert str(refused) == f"{each}: {refused.description}"
