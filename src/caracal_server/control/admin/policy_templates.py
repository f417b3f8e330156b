"""Data documents to begin with; each passes the validation that it is going to meet."""

from typing import Final

import msgspec

_HEAD: Final = "# caracal:data-document\npackage caracal.authz\nimport rego.v1\n\n"


class PolicyTemplate(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str
    content: str


TEMPLATES: Final = (
    PolicyTemplate(
        "application-bindings",
        "Application bindings",
        "Short keys for the ids of applications; grants name applications by them.",
        _HEAD + 'app_ids := {\n  "research": "replace-with-an-application-id",\n}\n',
    ),
    PolicyTemplate(
        "resource-grants",
        "Resource grants",
        "Which application may use a resource, and the scopes of each role. A session has the roles "
        "that its labels name.",
        _HEAD
        + 'grants := {\n  "resource://replace-me": {\n    "application": "research",\n'
        + '    "roles": {\n      "reader": ["read"],\n      "editor": ["read", "write"],\n    },\n'
        + "  },\n}\n",
    ),
    PolicyTemplate(
        "label-confinement",
        "Label confinement",
        "Sessions with a label that begins so have these scopes at most.",
        _HEAD + 'confinement := [\n  {"label_prefix": "tenant:", "scopes": ["read"]},\n]\n',
    ),
    PolicyTemplate(
        "zone-restriction",
        "Zone restriction",
        "Any entry stops everything in the zone; an empty list stops nothing.",
        _HEAD + 'restrict := ["say why here; make it [] to go on"]\n',
    ),
)
