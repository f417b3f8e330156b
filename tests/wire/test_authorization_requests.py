"""Authorization requests: read in one way, redirected to the letter, proven by their verifier."""

from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.wire.access_forms import parse_access_body
from caracal.wire.authorization import (
    challenge_of,
    parse_request,
    read_request,
    redirects_match,
    verifies,
    with_query,
)
from caracal.wire.errors import WireError

VERIFIER = "verifier-" * 5
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
GOOD = (
    b"response_type=code&client_id=app&redirect_uri=https://c&state=s&code_challenge_method=S256"
    b"&code_challenge=" + CHALLENGE.encode() + b"&resource=https://g/mcp/z/e&scope=a+b"
)


def test_a_request_is_read():
    request = parse_request(*read_request(GOOD))
    assert (request.client_id, request.redirect_uri, request.state) == ("app", "https://c", "s")
    assert (request.challenge, request.resource) == (CHALLENGE, "https://g/mcp/z/e")
    assert request.scopes.render() == "a b"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((b"=code&", b"=token&"), "unsupported_response_type"),
        ((b"&state=s", b"&request_uri=urn:x"), "request_not_supported"),
        ((b"=S256", b"=plain"), "invalid_request"),
        ((CHALLENGE.encode(), b"short"), "invalid_request"),
        ((b"&state=s", b"&state=" + b"s" * 1025), "invalid_request"),
        ((b"&state=s", b"&state=%C3%A9"), "invalid_request"),
        ((b"&resource=", b"&resource=https://x&resource="), "invalid_target"),
        ((b"&scope=a+b", b"&scope=%22"), "invalid_scope"),
    ],
)
def test_what_is_weaker_or_unclear_is_refused_in_the_words_of_the_standard(change, code):
    with pytest.raises(WireError) as caught:
        parse_request(*read_request(GOOD.replace(*change)))
    assert caught.value.code == code


def test_a_request_without_end_is_not_read():
    with pytest.raises(WireError):
        read_request(GOOD + b"&x=" + b"a" * 9000)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(query):
    try:
        parse_request(*read_request(query))
    except WireError:
        return


def test_a_verifier_is_the_one_its_challenge_was_made_of():
    assert challenge_of(VERIFIER) == CHALLENGE
    assert verifies(VERIFIER, CHALLENGE)
    assert not verifies(VERIFIER[:-1] + "l", CHALLENGE)
    assert not verifies(CHALLENGE[:42], CHALLENGE)


@given(st.text(alphabet="abcXYZ09-._~", min_size=43, max_size=64), st.text(max_size=64))
def test_no_other_text_verifies(verifier, other):
    assert verifies(verifier, challenge_of(verifier))
    assert verifies(other, challenge_of(verifier)) is (other == verifier)


LOOPBACK = "http://127.0.0.1/cb"


@pytest.mark.parametrize("port", [":1", ":8080", ":65535", ""])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_only_the_port_of_a_loopback_address_may_differ(host, port):
    assert redirects_match(f"http://{host}/cb", f"http://{host}{port}/cb")
    assert redirects_match(f"http://{host}:99/cb", f"http://{host}{port}/cb")
    assert not redirects_match(f"http://{host}/cb", f"http://{host}{port}/cb/")
    assert not redirects_match(f"http://{host}/cb", f"https://{host}{port}/cb")


@given(st.text(max_size=40))
def test_nothing_else_matches(asked):
    assert redirects_match("https://c/cb", asked) is (asked == "https://c/cb")


def test_fields_go_behind_what_a_url_has():
    assert with_query("https://c", {"a": "1 2", "b": ""}) == "https://c?a=1+2"
    assert with_query("https://c?x=y", {"a": "1"}) == "https://c?x=y&a=1"


CODE = b"grant_type=authorization_code&client_id=app&resource=r&code=c&code_verifier=v"


def test_a_code_may_come_without_a_secret_and_never_without_its_verifier():
    form = parse_access_body(CODE + b"&redirect_uri=https://c", None)
    assert (form.secret, form.code.reveal(), form.verifier.reveal()) == (None, "c", "v")
    assert form.redirect_uri == "https://c"
    with pytest.raises(WireError) as caught:
        parse_access_body(CODE.replace(b"&code_verifier=v", b""), None)
    assert (caught.value.field, caught.value.reason) == ("code", Reason.REQUEST_MALFORMED)
