"""Write `docs/schema/*.json` from the models, so that editors complete what the server accepts.

Usage: python -m tools.generate_schemas
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from caracal.authority.events import CallError, Entry, Kind, Verdict
from caracal.authority.zones import CredentialKind
from caracal.evidence.canonical import MAX_SAFE_INTEGER
from caracal.tokens.secret import Secret
from caracal_server.control.provider_rules import GOVERNED, KIND_RULES
from caracal_server.control.zone_document import EXAMPLE_POLICY, ZoneDocument
from tools.entry_fields import FIELDS
from tools.repository import ROOT

SCHEMAS = ROOT / "docs" / "schema"
ZONE = SCHEMAS / "zone.schema.json"
ENTRY = SCHEMAS / "evidence-entry.json"

_REFERENCE = {
    "title": "Secret reference",
    "description": "Where the secret is read, when the file is applied, by `caracal apply`.",
    "type": "object",
    "oneOf": [
        {"required": ["env"], "title": "from a variable"},
        {"required": ["file"], "title": "from a file"},
    ],
    "properties": {
        "env": {
            "description": "The name of an environment variable.",
            "type": "string",
            "examples": ["GITHUB_TOKEN"],
        },
        "file": {
            "description": "A path, relative to the zone file. A line break at the end is left off.",
            "type": "string",
            "examples": ["secrets/github-token"],
        },
    },
    "additionalProperties": False,
}
_POLICY_FILE = {
    "description": "The file that holds the policy, relative to the zone file; instead of `policy`.",
    "type": "string",
    "examples": ["policy.cedar"],
}
_OPERATION_KEY = "^[A-Z]{1,20} /[!-~]{0,511}$"
_NAME_KEY = r"^[^*\s]([^*]{0,510}[^*\s])?\*?$|^\*$"
_OF_AN_API: dict[str, Any] = {
    "properties": {
        "tools": False,
        "prompts": False,
        "resources": False,
        "definitions": {"const": "first_use"},
        "record_arguments": {"const": False},
    }
}
_OF_A_SERVER: dict[str, Any] = {
    "properties": {"operations": False, "enforcement": {"const": "enforced"}}
}


def zone_schema() -> dict[str, Any]:
    """Render the schema of zone files."""
    definitions = _definitions()
    zone = definitions.pop("ZoneDocument")
    zone["properties"]["policy_file"] = _POLICY_FILE
    zone["not"] = {"required": ["policy", "policy_file"]}
    definitions["SecretReference"] = _REFERENCE
    for name in ("ApplicationDocument", "ProviderDocument"):
        secret = definitions[name]["properties"]["secret"]
        definitions[name]["properties"]["secret"] = {
            "description": secret["description"],
            "$ref": "#/$defs/SecretReference",
        }
    definitions["ProviderDocument"]["allOf"] = [_kind_rule(kind) for kind in CredentialKind]
    definitions["ResourceDocument"]["properties"]["operations"] = _operations(
        definitions["ResourceDocument"]["properties"]["operations"]
    )
    for name in ("tools", "prompts", "resources"):
        definitions["ResourceDocument"]["properties"][name]["propertyNames"] = {
            "pattern": _NAME_KEY
        }
    definitions["ResourceDocument"] |= {
        "if": {"required": ["kind"], "properties": {"kind": {"const": "mcp"}}},
        "then": _OF_A_SERVER,
        "else": _OF_AN_API,
    }
    definitions["ResourceDocument"]["properties"]["upstream"]["pattern"] = (
        r"^(https?://|\$\{[A-Za-z_][A-Za-z0-9_]*\})[^?#\s]*$"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:caracal:schema:zone",
        **zone,
        "title": "Caracal zone",
        "examples": [_EXAMPLE],
        "$defs": definitions,
    }


def entry_schema() -> dict[str, Any]:
    """Render the schema of the entries of an evidence log."""
    (_,), definitions = msgspec.json.schema_components([Entry], ref_template="#/$defs/{name}")
    entry: dict[str, Any] = json.loads(json.dumps(definitions["Entry"]))
    enums = {"kind": Kind, "verdict": Verdict, "error": CallError}
    for name, typed in entry["properties"].items():
        told = FIELDS[name]
        typed.pop("default", None)
        shown = {"description": f"{told.meaning}. There: {told.present}.", **typed}
        if name in enums:
            shown.pop("$ref", None)
            shown |= {"type": "string", "enum": [one.value for one in enums[name] if one.value]}
        if shown["type"] == "integer":
            shown |= {"minimum": 0, "maximum": MAX_SAFE_INTEGER}
        if told.pattern:
            shown["pattern"] = told.pattern
        entry["properties"][name] = shown
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:caracal:schema:evidence-entry",
        **entry,
        "title": "Entry of an evidence log",
        "description": "An empty field is left out. Fields and values are added, and never reused.",
        "additionalProperties": False,
    }


def _definitions() -> dict[str, Any]:
    (_,), definitions = msgspec.json.schema_components(
        [ZoneDocument], schema_hook=_secret_schema, ref_template="#/$defs/{name}"
    )
    plain: dict[str, Any] = json.loads(json.dumps(definitions))
    for name, definition in plain.items():
        definition["title"] = name.removesuffix("Document")
        # Docstrings speak to whoever reads the code; the fields' own texts to whoever writes files.
        definition.pop("description", None)
        for field_name, field in definition.get("properties", {}).items():
            definition["properties"][field_name] = _without_null(field)
    return plain


def _secret_schema(kind: type) -> dict[str, Any]:
    if kind is not Secret:
        raise NotImplementedError
    return {"type": "string"}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Leave null out: in a file, a field without a value is a slip."""
    if field.get("default", 0) in (None, [], {}):
        del field["default"]
    options = [option for option in field.get("anyOf", []) if option != {"type": "null"}]
    if "anyOf" not in field or len(options) > 1:
        return field
    del field["anyOf"]
    return {**options[0], **field}


def _operations(field: dict[str, Any]) -> dict[str, Any]:
    mapping = next(option for option in field["anyOf"] if option["type"] == "object")
    mapping["propertyNames"] = {"pattern": _OPERATION_KEY}
    mapping["examples"] = [{"GET /orders/{id}": "orders:read"}]
    return field


def _kind_rule(kind: CredentialKind) -> dict[str, Any]:
    rule = KIND_RULES[kind]
    barred = [field for field in GOVERNED if field not in rule.needs | rule.may_have]
    then: dict[str, Any] = {"properties": dict.fromkeys(barred, False)}
    if rule.needs:
        then["required"] = sorted(rule.needs)
    if kind is CredentialKind.API_KEY:
        then["oneOf"] = [{"required": ["header"]}, {"required": ["query_parameter"]}]
    return {"if": {"properties": {"kind": {"const": kind.value}}}, "then": then}


_EXAMPLE = {
    "zone": "shop",
    "applications": [{"name": "orders-agent"}],
    "providers": [{"name": "orders", "kind": "bearer_token", "secret": {"env": "ORDERS_TOKEN"}}],
    "resources": [
        {
            "identifier": "resource://orders",
            "upstream": "https://api.example.com",
            "provider": "orders",
            "operations": {"GET /orders/{id}": "orders:read"},
        }
    ],
    "policy": EXAMPLE_POLICY,
}


def render() -> dict[Path, str]:
    """Render every schema, by the file that it belongs in."""
    schemas = {ZONE: zone_schema(), ENTRY: entry_schema()}
    return {
        path: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for path, schema in schemas.items()
    }


def main() -> int:
    """Write the files."""
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for path, text in render().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
