import json
from datetime import timedelta

from caracal.authority.scopes import NO_SCOPES
from caracal.wire.token_responses import render_metadata, render_token_response
from tests.tokens.mandate_examples import NOW, mandate_of_hops


def test_a_token_is_answered_with_what_it_holds():
    assert json.loads(render_token_response("a.b.c", mandate_of_hops(1))) == {
        "access_token": "a.b.c",
        "token_type": "Bearer",
        "expires_in": 900,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "rows:read rows:write",
        "target_resources": ["resource://datasette"],
    }


def test_the_reference_to_its_receipt_stands_beside_a_token():
    answer = json.loads(render_token_response("t", mandate_of_hops(0), "zone-1.7.code"))
    assert answer["caracal_receipt"] == "zone-1.7.code"


def test_scope_and_targets_are_left_out_when_there_are_none():
    bare = mandate_of_hops(
        0, scopes=NO_SCOPES, resources=(), expires_at=NOW + timedelta(seconds=60.9)
    )
    answer = json.loads(render_token_response("t", bare))
    assert answer.keys().isdisjoint({"scope", "target_resources", "caracal_receipt"})
    assert answer["expires_in"] == 60


def test_the_metadata_names_the_endpoints_and_the_keys_of_a_zone():
    assert json.loads(render_metadata("https://sts.example.com", "zone:1")) == {
        "issuer": "https://sts.example.com",
        "token_endpoint": "https://sts.example.com/oauth/2/token",
        "response_types_supported": [],
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "jwks_uri": "https://sts.example.com/.well-known/jwks.json?zone_id=zone%3A1",
    }
    assert "jwks_uri" not in json.loads(render_metadata("https://sts.example.com"))
