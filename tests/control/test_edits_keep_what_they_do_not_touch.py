"""A zone read back as a document is the document: an edit of one field loses none of the others."""

import json

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from joserfc.jwk import ECKey

from caracal_server.control.desired_zone import desire
from caracal_server.control.kept_document import kept_document
from caracal_server.control.zone_plan import SecretChanges, plan_zone
from tests.control.world import PERMIT, opened


def client_key() -> dict[str, str]:
    key = ECKey.import_key(generate_private_key(SECP256R1()).public_key())
    return {**key.as_dict(private=False), "kid": "first"}


FULL = {
    "zone": "shop",
    "title": "The shop",
    "applications": [
        {
            "name": "orders-agent",
            "title": "Orders agent",
            "secret": "a first secret of 1",
            "enabled": False,
            "expires_at": "2031-01-01T00:00:00Z",
            "traits": ["team:orders"],
            "redirect_uris": ["http://127.0.0.1/callback"],
            "metadata_hosts": ["client.example"],
            "takes_registrations": True,
        },
        {"name": "signing-agent", "keys": [client_key()]},
    ],
    "providers": [
        {
            "name": "orders",
            "title": "Orders",
            "kind": "api_key",
            "secret": "planted-upstream-key",
            "header": "X-Key",
            "scheme": "Key",
            "allowed_hosts": ["orders.example"],
            "forward_identity": True,
        },
        {"name": "basic", "kind": "http_basic", "username": "u", "secret": "planted-upstream-key"},
        {
            "name": "query",
            "kind": "api_key",
            "query_parameter": "key",
            "secret": "planted-upstream-key",
        },
    ],
    "subject_issuers": [
        {
            "issuer": "https://people.example",
            "jwks_url": "https://people.example/keys",
            "audience": "shop",
            "authorization_url": "https://people.example/authorize",
            "token_url": "https://people.example/token",
        }
    ],
    "resources": [
        {
            "identifier": "resource://orders",
            "name": "Orders",
            "upstream": "https://orders.example/v1",
            "provider": "orders",
            "scopes": ["orders:extra"],
            "operations": {"GET /orders/{id}": "orders:read"},
            "enforcement": "transport_uniform",
        },
        {
            "identifier": "resource://tickets",
            "kind": "mcp",
            "upstream": "https://tickets.example/mcp",
            "tools": {"search": "tickets:read"},
            "prompts": {"summary": "tickets:read"},
            "resources": {"file:///handbook/*": "tickets:read"},
            "definitions": "accepted",
            "record_arguments": True,
            "endpoint": "tickets",
        },
    ],
    "policy": PERMIT,
}


@pytest.fixture
async def kept(tmp_path):
    async with opened(tmp_path) as world:
        await world.applied(FULL)
        record = await world.record()
        yield record, kept_document(record)


async def test_a_zone_read_back_and_applied_changes_nothing(kept):
    record, document = kept
    assert plan_zone(desire(document, record, new_id=None), record, SecretChanges()).changes == ()


async def test_every_field_of_a_zone_file_is_read_back(kept):
    """A field that is added to zone files has to be added here, and to what reads zones back."""
    _, document = kept
    for models in (
        (document,),
        document.applications,
        document.providers,
        document.subject_issuers,
        document.resources,
    ):
        said = {
            field.name
            for model in models
            for field in msgspec.structs.fields(model)
            if not field.required and getattr(model, field.name) not in _default(field)
        }
        optional = {one.name for one in msgspec.structs.fields(models[0]) if not one.required}
        assert said == optional, type(models[0]).__name__


def _default(field) -> list[object]:
    if field.default_factory is not msgspec.NODEFAULT:
        return [field.default_factory()]
    return [field.default]


async def test_what_is_read_back_says_what_was_written(kept):
    _, document = kept
    signing = document.applications[1]
    assert [dict(key) for key in signing.keys] == [
        json.loads(json.dumps(FULL["applications"][1]["keys"][0]))
    ]
    assert document.resources[1].endpoint == "tickets"
    assert document.subject_issuers[0].token_url == "https://people.example/token"
