"""What MCP clients ask for, and what tells them where: each read in one way only."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.authority.scopes import ScopeSet
from caracal.tokens import base64url
from caracal.tokens.client_assertions import ASSERTION_TYPE
from caracal.wire.access_forms import AccessForm, parse_access_body
from caracal.wire.endpoints import (
    RESOURCE_METADATA,
    SERVER_METADATA,
    EndpointPath,
    ServerPath,
    endpoint_path,
    is_endpoint,
    is_server,
    read_endpoint,
    read_server,
    server_url,
)
from caracal.wire.errors import WireError
from caracal.wire.oauth_metadata import (
    AccessTokenResponse,
    challenge,
    render_access,
    render_resource,
    render_server,
)

GOOD = b"grant_type=client_credentials&client_id=app-1&client_secret=s&resource=https://g/mcp/z/e"
PUBLIC = b"grant_type=client_credentials&resource=https://g/mcp/z/e"


CLAIMS = {
    "iss": "app-1",
    "sub": "app-1",
    "aud": "https://s",
    "iat": 1,
    "exp": 2,
    "jti": "j",
}


def basic(text):
    return b"Basic " + b64encode(text)


def refusal(body, authorization=None):
    with pytest.raises(WireError) as caught:
        parse_access_body(body, authorization)
    return caught.value.field, caught.value.reason


def test_a_secret_in_the_form_or_the_header_is_read_alike():
    in_form = parse_access_body(GOOD, None)
    in_header = parse_access_body(PUBLIC, basic(b"app-1:s"))
    assert in_form.client_id == in_header.client_id == "app-1"
    assert in_form.secret.reveal() == in_header.secret.reveal() == "s"
    assert in_form.resource == "https://g/mcp/z/e"
    assert repr(in_form) == "AccessForm(client_id='app-1')"


def test_a_secret_in_the_header_is_decoded_as_a_form_value():
    form = parse_access_body(PUBLIC + b"&scope=a+b", basic(b"app%2D1:p%3Aw+d"))
    assert (form.client_id, form.secret.reveal()) == ("app-1", "p:w d")
    assert form.scopes.render() == "a b"


@pytest.mark.parametrize(
    ("body", "authorization", "field", "reason"),
    [
        (b"a=1", None, "grant_type", Reason.REQUEST_MALFORMED),
        (b"grant_type=password", None, "grant_type", Reason.GRANT_TYPE_UNSUPPORTED),
        (PUBLIC, None, "client_secret", Reason.CLIENT_SECRET_WRONG),
        (GOOD, basic(b"app-1:s"), "client_secret", Reason.CLIENT_SECRET_WRONG),
        (GOOD + b"&client_assertion=x", None, "client_secret", Reason.CLIENT_SECRET_WRONG),
        (PUBLIC + b"&client_id=other", basic(b"app-1:s"), "client_id", Reason.CLIENT_UNKNOWN),
        (PUBLIC, b"Bearer x", "authorization", Reason.CLIENT_SECRET_WRONG),
        (PUBLIC, b"Basic " + b"A" * 4096, "authorization", Reason.CLIENT_SECRET_WRONG),
        (PUBLIC, b"Basic !", "authorization", Reason.CLIENT_SECRET_WRONG),
        (PUBLIC, basic(b"no colon"), "authorization", Reason.CLIENT_SECRET_WRONG),
        (PUBLIC, basic(b"app-1:%ff"), "authorization", Reason.CLIENT_SECRET_WRONG),
        (PUBLIC + b"&client_assertion=x", None, "client_assertion_type", Reason.REQUEST_MALFORMED),
        (GOOD + b"&resource=https://g/mcp/z/f", None, "resource", Reason.RESOURCE_MISSING),
        (GOOD.replace(b"https://g/mcp/z/e", b""), None, "resource", Reason.RESOURCE_MISSING),
        (GOOD.replace(b"app-1", b""), None, "client_id", Reason.CLIENT_UNKNOWN),
        (GOOD + b"&client_id=app-1", None, "client_id", Reason.REQUEST_MALFORMED),
        (GOOD + b"&scope=%22", None, "scope", Reason.REQUEST_MALFORMED),
    ],
)
def test_what_is_ambiguous_or_malformed_is_refused(body, authorization, field, reason):
    assert refusal(body, authorization) == (field, reason)


def test_an_assertion_that_can_not_be_read_is_refused():
    kind = b"&client_assertion_type=" + ASSERTION_TYPE.encode().replace(b":", b"%3A")
    body = PUBLIC + kind + b"&client_assertion=a.b.c"
    assert refusal(body) == ("client_assertion", Reason.CLIENT_ASSERTION_INVALID)


def test_an_assertion_says_whose_it_is_and_is_proven_later():
    raw = b".".join(
        map(base64url.encode, (b'{"alg":"ES256"}', json.dumps(CLAIMS).encode(), b"x" * 64))
    )
    body = PUBLIC + b"&client_assertion_type=" + ASSERTION_TYPE.encode()
    form = parse_access_body(body + b"&client_assertion=" + raw, None)
    assert (form.client_id, form.secret, form.assertion) == ("app-1", None, raw)
    other = body + b"&client_id=app-2&client_assertion=" + raw
    assert refusal(other) == ("client_id", Reason.CLIENT_UNKNOWN)


def test_metadata_says_what_there_is():
    said = json.loads(render_resource("https://g/mcp/z/e", "https://s", ScopeSet.of("b", "a"), "E"))
    assert (said["resource"], said["authorization_servers"]) == ("https://g/mcp/z/e", ["https://s"])
    assert (said["scopes_supported"], said["resource_name"]) == (["a", "b"], "E")
    server = json.loads(render_server("https://s", "https://s/keys", people=False))
    assert (server["issuer"], server["jwks_uri"]) == ("https://s", "https://s/keys")
    granted = json.loads(render_access(AccessTokenResponse("t", 600, "a")))
    assert granted == {
        "access_token": "t",
        "expires_in": 600,
        "scope": "a",
        "token_type": "Bearer",
    }


@given(st.binary(max_size=300), st.none() | st.binary(max_size=80))
def test_whatever_comes_is_read_or_refused(body, authorization):
    try:
        form = parse_access_body(body, authorization)
    except WireError:
        return
    assert isinstance(form, AccessForm)


@given(st.binary(max_size=120), st.binary(max_size=60))
def test_whatever_is_appended_never_swaps_what_was_said(more, value):
    try:
        form = parse_access_body(GOOD + b"&" + more + b"=" + value, None)
    except WireError:
        return
    assert (form.client_id, form.secret.reveal(), form.resource) == (
        "app-1",
        "s",
        "https://g/mcp/z/e",
    )


def test_paths_name_an_endpoint_or_what_describes_it():
    path = endpoint_path("shop", "tickets")
    assert read_endpoint(path) == EndpointPath("shop", "tickets")
    assert read_endpoint(RESOURCE_METADATA + path) == EndpointPath("shop", "tickets", True)


def test_paths_name_a_zones_authorization_server():
    url = server_url("https://sts", "shop")
    assert url == "https://sts/oauth/zones/shop"
    assert read_server(url.removeprefix("https://sts") + "/token") == ServerPath("shop", "token")
    assert read_server(SERVER_METADATA + "/oauth/zones/shop") == ServerPath("shop")


@pytest.mark.parametrize(
    "path",
    [
        "/mcp/shop",
        "/mcp/shop/tickets/",
        "/mcp/shop/tickets/more",
        "/mcp/Shop/tickets",
        "/mcp/shop/%74ickets",
        "/mcp//tickets",
        "/mcp/shop/tickets\n",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource//mcp/shop/tickets",
    ],
)
def test_a_path_in_any_other_spelling_names_nothing(path):
    assert is_endpoint(path)
    assert read_endpoint(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/zones/shop",
        "/oauth/zones/shop/",
        "/oauth/zones/shop/tokens",
        "/.well-known/oauth-authorization-server/oauth/zones/shop/token",
        "/.well-known/oauth-authorization-server/oauth/zones/",
    ],
)
def test_a_server_in_any_other_spelling_is_none(path):
    assert is_server(path)
    assert read_server(path) is None


def test_what_is_nobodys_is_left_to_others():
    assert not is_endpoint("/")
    assert not is_server("/oauth/2/token")
    assert not is_server(SERVER_METADATA)


def test_a_challenge_says_only_what_there_is_to_say():
    assert challenge("https://m", "") == b'Bearer realm="caracal", resource_metadata="https://m"'
    assert challenge("https://m", "a b", error="e", description="d") == (
        b'Bearer realm="caracal", error="e", error_description="d", scope="a b",'
        b' resource_metadata="https://m"'
    )
