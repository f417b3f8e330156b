from datetime import timedelta
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.authority.scopes import ScopeSet
from caracal.tokens.holders import HolderKey, render_holder
from caracal.tokens.secret import Secret
from caracal.wire.errors import Fault, WireError
from caracal.wire.forms import (
    GRANT_TYPE,
    OWN_ZONE,
    SubjectTokenType,
    TokenRequest,
    parse_token_form,
)

FORM = {
    "grant_type": GRANT_TYPE,
    "zone_id": "zone-1",
    "application_id": "app-1",
    "client_secret": "cs_s3cret",
    "resource": "resource://a",
    "scope": "read write",
}


def parse(body: bytes | dict, **envelope) -> TokenRequest:
    text = urlencode(body, doseq=True).encode() if isinstance(body, dict) else body
    values = {"method": "POST", "query": b"", "content_type": b"application/x-www-form-urlencoded"}
    return parse_token_form(**(values | envelope), body=text)


def refusal(body: bytes | dict, **envelope) -> WireError:
    with pytest.raises(WireError) as refused:
        parse(body, **envelope)
    return refused.value


def test_a_mandate_is_asked_for_a_holder_by_a_key_that_is_one():
    key = HolderKey.generate()
    request = parse(FORM | {"holder_jwk": render_holder(key.holder).decode()})
    assert request.holder == key.holder
    assert parse(FORM | {"holder_jwk": ""}).holder is None
    for wrong in ("x", "{}", '{"kty":"EC"}', "[" * 9000):
        assert refusal(FORM | {"holder_jwk": wrong}).field == "holder_jwk"


def test_a_whole_request_is_read():
    request = parse(
        FORM
        | {
            "session_id": "r1",
            "agent_session_id": "S1",
            "delegation_edge_id": "E1",
            "approval_id": "4c0e",
            "ttl_seconds": "300",
            "subject_token": "a.b.c",
            "subject_token_type": SubjectTokenType.ACCESS_TOKEN,
        }
    )
    assert request == TokenRequest(
        zone_id="zone-1",
        application_id="app-1",
        client_secret=Secret("cs_s3cret"),
        resources=("resource://a",),
        scopes=ScopeSet.of("read", "write"),
        subject_token=b"a.b.c",
        subject_token_type=SubjectTokenType.ACCESS_TOKEN,
        session_id="r1",
        agent_session_id="S1",
        delegation_edge_id="E1",
        approval_id="4c0e",
        ttl=timedelta(seconds=300),
    )


def test_only_what_control_keys_ask_for_goes_without_a_zone():
    asked = {name: FORM[name] for name in ("grant_type", "application_id", "client_secret")}
    asked |= {"resource": "caracal-control", "scope": "control:zone:read control:zone:write"}
    assert parse(asked).zone_id == parse(asked | {"zone_id": ""}).zone_id == OWN_ZONE
    assert parse(asked | {"zone_id": "zone-1"}).zone_id == "zone-1"


def test_what_a_request_holds_is_not_shown():
    shown = repr(
        parse(FORM | {"subject_token": "tok", "subject_token_type": SubjectTokenType.ID_TOKEN})
    )
    assert "s3cret" not in shown
    assert "tok'" not in shown


def test_optional_fields_that_are_absent_or_empty_are_nothing():
    bare = {name: FORM[name] for name in ("grant_type", "zone_id", "application_id")}
    empty = dict.fromkeys(
        ("client_secret", "scope", "session_id", "agent_session_id", "delegation_edge_id",
         "approval_id", "ttl_seconds", "subject_token", "subject_token_type"), "",
    )  # fmt: skip
    request = parse(bare)
    assert parse(bare | empty) == request
    assert request.client_secret is None
    assert request.ttl is None
    assert len(request.scopes) == 0
    assert request.resources == ()


def test_resources_may_repeat_and_come_out_trimmed_sorted_and_once_each():
    request = parse(FORM | {"resource": ["res://b", " res://a\t", "res://b", "RES-1"]})
    assert request.resources == ("RES-1", "res://a", "res://b")


def test_fields_we_do_not_know_are_ignored():
    extra = {"client_id": "x", "audience": "y", "requested_token_type": "z", "nonce": "n"}
    assert parse(FORM | extra) == parse(FORM)


def test_a_zero_lifetime_means_the_default():
    assert parse(FORM | {"ttl_seconds": "0"}).ttl is None
    assert parse(FORM | {"ttl_seconds": "007"}).ttl == timedelta(seconds=7)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_any_secret_survives_any_correct_encoding(secret):
    body = {name: value for name, value in FORM.items() if name != "client_secret"}
    rest = urlencode(body).encode()
    for encode in (quote, quote_plus, lambda text: quote(text, safe="")):
        sent = rest + b"&client_secret=" + encode(secret).encode()
        assert parse(sent).client_secret == Secret(secret)


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/x-www-form-urlencoded; charset=utf-8",
        b" Application/X-WWW-Form-URLEncoded ;a",
    ],
)
def test_parameters_and_case_of_the_media_type_do_not_matter(content_type):
    assert parse(FORM, content_type=content_type) == parse(FORM)


ENVELOPES = [
    ({"method": "GET"}, Fault.METHOD, "invalid_token", Reason.METHOD_UNSUPPORTED),
    ({"query": b"a=1"}, Fault.MALFORMED, "invalid_token", Reason.REQUEST_MALFORMED),
    ({"content_type": None}, Fault.MEDIA_TYPE, "invalid_token", Reason.REQUEST_MALFORMED),
    ({"content_type": b"application/json"}, Fault.MEDIA_TYPE, "invalid_token", Reason.REQUEST_MALFORMED),
    ({"content_type": b"x/y;application/x-www-form-urlencoded"}, Fault.MEDIA_TYPE, "invalid_token", Reason.REQUEST_MALFORMED),
]  # fmt: skip


@pytest.mark.parametrize(("envelope", "fault", "code", "reason"), ENVELOPES)
def test_another_envelope_is_refused(envelope, fault, code, reason):
    error = refusal(FORM, **envelope)
    assert (error.fault, error.code, error.reason) == (fault, code, reason)


def test_a_body_over_the_limit_is_refused_before_it_is_read():
    exact = b"x=" + b"a" * (65_536 - 2)
    assert refusal(exact).field == "grant_type"
    error = refusal(exact + b"%")
    assert (error.fault, error.code) == (Fault.TOO_LARGE, "payload_too_large")
    assert error.reason is Reason.BODY_TOO_LARGE
    assert "65536" in error.description


def test_faults_are_found_in_the_order_of_the_contract():
    body = b"zone_id=a&zone_id=b&actor_token=t&ttl_seconds=x&resource=&grant_type=password"
    steps = [
        ({"method": "PUT", "query": b"q", "content_type": b"x"}, body, ""),
        ({"query": b"q", "content_type": b"x"}, body, ""),
        ({"content_type": b"x"}, body, "content-type"),
        ({}, body, "zone_id"),
        ({}, body.replace(b"&zone_id=b", b""), "actor_token"),
        ({}, body.replace(b"&zone_id=b&actor_token=t", b""), "ttl_seconds"),
        ({}, b"resource=&grant_type=password&subject_token=t", "resource"),
        ({}, b"grant_type=password&subject_token=t", "grant_type"),
        (
            {},
            urlencode({"grant_type": GRANT_TYPE, "subject_token": "t"}).encode(),
            "subject_token_type",
        ),
        ({}, urlencode({"grant_type": GRANT_TYPE}).encode(), "zone_id"),
    ]
    for envelope, sent, field in steps:
        assert refusal(sent, **envelope).field == field


FIELDS = {
    "grant type": ({"grant_type": "client_credentials"}, "grant_type"),
    "no zone": ({"zone_id": ""}, "zone_id"),
    "bad zone": ({"zone_id": "a/b"}, "zone_id"),
    "no application": ({"application_id": ""}, "application_id"),
    "long application": ({"application_id": "a" * 129}, "application_id"),
    "repeated secret": ({"client_secret": ["a", "a"]}, "client_secret"),
    "repeated unknown field": ({"nonce": ["a", "b"]}, "nonce"),
    "empty resource": ({"resource": ["res://a", " "]}, "resource"),
    "resource with a space inside": ({"resource": "res://a b"}, "resource"),
    "resource that is not ASCII": ({"resource": "res://é"}, "resource"),
    "long resource": ({"resource": "r" * 513}, "resource"),
    "many resources": ({"resource": [f"res://{i}" for i in range(65)]}, "resource"),
    "bad scope": ({"scope": 'a "b"'}, "scope"),
    "many scopes": ({"scope": " ".join(f"s{i}" for i in range(65))}, "scope"),
    "negative lifetime": ({"ttl_seconds": "-1"}, "ttl_seconds"),
    "fraction": ({"ttl_seconds": "1.5"}, "ttl_seconds"),
    "signed": ({"ttl_seconds": "+1"}, "ttl_seconds"),
    "blank": ({"ttl_seconds": " 1"}, "ttl_seconds"),
    "other digits": ({"ttl_seconds": "٣"}, "ttl_seconds"),
    "huge lifetime": ({"ttl_seconds": "9" * 10}, "ttl_seconds"),
    "token without type": ({"subject_token": "t"}, "subject_token_type"),
    "type without token": ({"subject_token_type": SubjectTokenType.ID_TOKEN}, "subject_token"),
    "bad session": ({"agent_session_id": "é"}, "agent_session_id"),
    "bad delegation": ({"delegation_edge_id": "a b"}, "delegation_edge_id"),
    "bad record": ({"session_id": "a/b"}, "session_id"),
    "bad approval": ({"approval_id": "<>"}, "approval_id"),
}


@pytest.mark.parametrize(("changes", "field"), FIELDS.values(), ids=FIELDS)
def test_a_bad_field_is_named(changes, field):
    error = refusal(FORM | changes)
    assert (error.field, error.code, error.fault) == (field, "invalid_token", Fault.MALFORMED)
    assert error.reason is Reason.REQUEST_MALFORMED
    assert field in error.description
    assert "s3cret" not in error.description


@pytest.mark.parametrize("name", ["actor_token", "client_assertion", "client_assertion_type"])
@pytest.mark.parametrize("value", ["", "x"])
def test_another_way_to_authenticate_is_refused_even_when_empty(name, value):
    error = refusal(FORM | {name: value})
    assert (error.field, error.reason) == (name, Reason.SUBJECT_TOKEN_UNSUPPORTED)


def test_another_type_of_subject_token_is_refused():
    error = refusal(FORM | {"subject_token": "t", "subject_token_type": "urn:x:saml2"})
    assert error.reason is Reason.SUBJECT_TOKEN_UNSUPPORTED
    assert "access_token" in error.description


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"a=%", "%"),
        (b"a=%4", "%"),
        (b"a=%zz", "%"),
        (b"%=a", "%"),
        (b"a=%00", "NUL"),
        (b"a=\x00", "NUL"),
        (b"%00=a", "NUL"),
        (b"a=%ff", "UTF-8"),
        (b"a=\xff", "UTF-8"),
        (b"%c0%af=a", "UTF-8"),
        (b"a=%ed%a0%80", "UTF-8"),
        (b"&".join(b"f%d=1" % i for i in range(201)), "at most 200"),
    ],
)
def test_an_undecodable_body_is_refused(body, said):
    error = refusal(body)
    assert said in error.description
    assert error.code == "invalid_token"


def test_an_escaped_percent_before_zeros_is_not_a_nul():
    assert parse(FORM | {"client_secret": "100%00"}).client_secret == Secret("100%00")


def test_empty_pieces_and_missing_equal_signs_are_tolerated():
    body = b"&&" + urlencode(FORM).encode() + b"&flag&"
    assert parse(body) == parse(FORM)


@given(st.binary(max_size=120) | st.text("abze_idrsouctypgn=&%+01F", max_size=80).map(str.encode))
def test_noise_is_refused_by_name(noise):
    assert refusal(noise).code == "invalid_token"


@given(st.data())
def test_mutated_forms_are_read_or_refused_by_name(data):
    body = bytearray(urlencode(FORM).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        parse(bytes(body))
    except WireError as error:
        sent = error
    else:
        return
    assert sent.description
