"""What clients say of themselves: read within bounds, and only what makes a public client."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.wire.client_metadata import ClientMetadata, parse_metadata, render_registered
from caracal.wire.errors import WireError

GOOD = {"redirect_uris": ["https://a.example/cb"], "client_name": "A", "logo_uri": "ignored"}


def test_what_a_public_client_says_is_read():
    metadata = parse_metadata(json.dumps(GOOD).encode())
    assert (metadata.redirect_uris, metadata.client_name) == (("https://a.example/cb",), "A")
    said = json.loads(render_registered("id", metadata, 7))
    assert (said["client_id"], said["client_id_issued_at"]) == ("id", 7)
    assert said["grant_types"] == ["authorization_code"]


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost", "https://a.example:8443/"],
)
def test_redirects_are_https_or_on_this_machine(uri):
    assert parse_metadata(json.dumps({"redirect_uris": [uri]}).encode()).redirect_uris == (uri,)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uris": ["http://a.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_client_metadata"),
        ({"client_secret": ""}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "invalid_client_metadata"),
        ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
        ({"client_name": "a\u00adb"}, "invalid_client_metadata"),
        ({"client_name": "a\ufeff"}, "invalid_client_metadata"),
        ({"client_name": "a\U000e0041"}, "invalid_client_metadata"),
        ({"client_name": " "}, "invalid_client_metadata"),
        ({"x": "y" * 6000}, "invalid_client_metadata"),
    ],
)
def test_anything_else_is_refused_in_the_words_of_the_standard(changes, code):
    with pytest.raises(WireError) as caught:
        parse_metadata(json.dumps(GOOD | changes).encode())
    assert caught.value.code == code


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(body):
    try:
        metadata = parse_metadata(body)
    except WireError:
        return
    assert isinstance(metadata, ClientMetadata)
