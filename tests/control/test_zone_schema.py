"""The published schema: current, and of one mind with the server about files."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from caracal_server.cli.zone_file import ZoneFileInvalid, read_zone_file
from tools.generate_schemas import ZONE, render

SCHEMA = json.loads(ZONE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
ENVIRONMENT = {"T": "a token of 16 chars", "SHOP_TOKEN": "t", "SHOP_URL": "http://127.0.0.1:1"}

GOOD = {
    "zone": "shop",
    "applications": [
        {"name": "agent", "enabled": False, "expires_at": "2030-01-31T12:00:00Z"},
        {"name": "brought", "secret": {"env": "T"}},
        {"name": "key", "traits": ["control:invoke", "control:scope:control:zone:read", "team:a"]},
    ],
    "subject_issuers": [
        {
            "issuer": "https://id.example",
            "jwks_url": "https://id.example:8443/keys",
            "audience": "my-app",
        }
    ],
    "providers": [
        {"name": "a", "kind": "none"},
        {"name": "b", "kind": "bearer_token", "secret": {"env": "T"}, "scheme": ""},
        {"name": "c", "kind": "api_key", "secret": {"env": "T"}, "header": "X-Key"},
        {"name": "d", "kind": "api_key", "secret": {"env": "T"}, "query_parameter": "key"},
        {"name": "e", "kind": "http_basic", "secret": {"env": "T"}, "username": "u"},
        {"name": "f", "kind": "caracal_mandate", "forward_identity": True},
    ],
    "resources": [
        {
            "identifier": "resource://orders",
            "upstream": "https://orders.example",
            "provider": "b",
            "operations": {"GET /orders/{id}": "orders:read"},
        },
        {
            "identifier": "resource://list",
            "upstream": "${SHOP_URL}",
            "scopes": ["a"],
            "enforcement": "transport_uniform",
            "operations": [{"method": "GET", "path": "/", "scope": "a"}],
        },
        {
            "identifier": "resource://tickets",
            "kind": "mcp",
            "upstream": "https://tickets.example/mcp",
            "tools": {"search": "tickets:read", "ticket_*": "tickets:write"},
            "prompts": {"*": "tickets:read"},
            "resources": {"file:///handbook/*": "tickets:read"},
        },
    ],
    "policy": "permit (principal, action, resource);",
}


def _changed(path, value):
    changed = copy.deepcopy(GOOD)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return changed


BAD = {
    "unknown field": _changed(["resurces"], []),
    "no zone": {"applications": []},
    "zone name": _changed(["zone"], "Shop"),
    "null": _changed(["policy"], None),
    "two policies": _changed(["policy_file"], "p.cedar"),
    "application name": _changed(["applications", 0, "name"], "a b"),
    "not a boolean": _changed(["applications", 0, "enabled"], "no"),
    "unknown application field": _changed(["applications", 0, "scopes"], []),
    "written out secret": _changed(["applications", 1, "secret"], "a secret of 16 characters"),
    "secret from nowhere": _changed(["applications", 1, "secret"], {}),
    "secret from two places": _changed(["applications", 1, "secret"], {"env": "T", "file": "f"}),
    "trait": _changed(["applications", 2, "traits"], ["a b"]),
    "issuer without TLS": _changed(["subject_issuers", 0, "issuer"], "http://id.example"),
    "issuer with a user": _changed(["subject_issuers", 0, "issuer"], "https://a@id.example"),
    "keys with a query": _changed(["subject_issuers", 0, "jwks_url"], "https://id.example/?a"),
    "no audience": _changed(["subject_issuers", 0, "audience"], ""),
    "unknown issuer field": _changed(["subject_issuers", 0, "algorithms"], ["none"]),
    "unknown kind": _changed(["providers", 0, "kind"], "oauth"),
    "secret of none": _changed(["providers", 0, "secret"], {"env": "T"}),
    "no secret": _changed(["providers", 1], {"name": "b", "kind": "bearer_token"}),
    "username of a token": _changed(["providers", 1, "username"], "u"),
    "key in two places": _changed(["providers", 2, "query_parameter"], "key"),
    "no user": _changed(
        ["providers", 4], {"name": "e", "kind": "http_basic", "secret": {"env": "T"}}
    ),
    "secret of a mandate": _changed(["providers", 5, "secret"], {"env": "T"}),
    "header name": _changed(["providers", 2, "header"], "X Key"),
    "identifier": _changed(["resources", 0, "identifier"], "orders"),
    "upstream scheme": _changed(["resources", 0, "upstream"], "ftp://orders.example"),
    "upstream query": _changed(["resources", 0, "upstream"], "https://orders.example/?a"),
    "operation": _changed(["resources", 0, "operations"], {"orders": "orders:read"}),
    "operation scope": _changed(["resources", 0, "operations"], {"GET /a": "a b"}),
    "operation without scope": _changed(
        ["resources", 1, "operations"], [{"method": "GET", "path": "/"}]
    ),
    "enforcement": _changed(["resources", 0, "enforcement"], "off"),
    "scopes": _changed(["resources", 1, "scopes"], ["a b"]),
    "kind": _changed(["resources", 2, "kind"], "rpc"),
    "tools of an API": _changed(["resources", 0, "tools"], {"a": "b"}),
    "operations of a server": _changed(["resources", 2, "operations"], {"GET /a": "a"}),
    "a server that does not bind": _changed(["resources", 2, "enforcement"], "transport_uniform"),
    "name of a tool": _changed(["resources", 2, "tools"], {"a*b": "a"}),
    "scope of a tool": _changed(["resources", 2, "tools"], {"a": "a b"}),
}


def test_the_schema_is_what_the_model_says():
    assert ZONE.read_text(encoding="utf-8") == render()[ZONE], "python -m tools.generate_schemas"


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for example in SCHEMA["examples"]:
        VALIDATOR.validate(example)


def _apply(folder, data):
    file = folder / "zone.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    read_zone_file(file, ENVIRONMENT)


def test_schema_and_server_take_the_same_files(tmp_path):
    VALIDATOR.validate(GOOD)
    _apply(tmp_path, GOOD)
    demo = yaml.safe_load(Path("examples/demo/zone.yaml").read_text(encoding="utf-8"))
    VALIDATOR.validate(demo)
    _apply(tmp_path, demo)


@pytest.mark.parametrize("name", BAD)
def test_schema_and_server_refuse_the_same_files(tmp_path, name):
    assert not VALIDATOR.is_valid(BAD[name])
    with pytest.raises(ZoneFileInvalid):
        _apply(tmp_path, BAD[name])


def test_every_field_is_explained():
    for name, definition in {"zone": SCHEMA, **SCHEMA["$defs"]}.items():
        for field, schema in definition.get("properties", {}).items():
            assert schema.get("description"), f"{name}.{field}"
