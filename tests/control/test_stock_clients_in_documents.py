"""What a document says of stock MCP clients is checked before anything is done with it."""

import pytest

from caracal_server.control.document_faults import ZoneDocumentInvalid
from caracal_server.control.document_rules import parse_document

SERVER = {"identifier": "resource://a", "kind": "mcp", "upstream": "https://a.example/mcp"}
ISSUER = {"issuer": "https://i.example", "jwks_url": "https://i.example/keys", "audience": "app"}


def faults(**document):
    with pytest.raises(ZoneDocumentInvalid) as caught:
        parse_document({"zone": "shop", **document})
    return [".".join(map(str, fault.path)) for fault in caught.value.faults]


def test_an_endpoint_is_one_servers_and_only_an_mcp_servers():
    one, other = ({**SERVER, "endpoint": "a"}, {**SERVER, "identifier": "resource://b"})
    assert faults(resources=[one, {**other, "endpoint": "a"}]) == ["resources.1.endpoint"]
    plain = {"identifier": "resource://a", "upstream": "https://a.example", "endpoint": "a"}
    assert faults(resources=[plain]) == ["resources.0.endpoint"]
    assert faults(resources=[{**SERVER, "endpoint": "A/b"}]) == ["resources.0.endpoint"]
    assert parse_document({"zone": "shop", "resources": [one, {**other, "endpoint": "b"}]})


def test_a_key_that_can_not_verify_is_named():
    secret = {"kty": "oct", "kid": "one", "k": "c2hhcmVk"}
    assert faults(applications=[{"name": "a", "keys": [secret]}]) == ["applications.0.keys.0"]


@pytest.mark.parametrize(
    "uri", ["http://a.example/cb", "https://a.example/cb#x", "javascript:x", "https://u@a.example"]
)
def test_a_redirect_that_could_leak_a_code_is_named(uri):
    application = {"name": "a", "redirect_uris": [uri]}
    assert faults(applications=[application]) == ["applications.0.redirect_uris.0"]


def test_one_application_takes_registrations():
    open_to_all = [{"name": name, "takes_registrations": True} for name in "ab"]
    assert faults(applications=open_to_all) == ["applications.1.takes_registrations"]


def test_where_people_sign_in_is_said_whole_or_not_at_all():
    half = ISSUER | {"authorization_url": "https://i.example/authorize"}
    assert faults(subject_issuers=[half]) == ["subject_issuers.0.token_url"]
    numeric = half | {"token_url": "https://0x7f.1/token"}
    assert faults(subject_issuers=[numeric]) == ["subject_issuers.0.token_url"]
