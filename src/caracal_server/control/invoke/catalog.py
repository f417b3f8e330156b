"""The commands that there are, the request that each is, and the scope that it needs."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """How the value of a flag becomes a field of a body."""

    TEXT = auto()
    LIST = auto()
    """A list, or a text with commas in it."""
    JSON = auto()
    IDS = auto()
    """Versions of policies, as a manifest has them."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Attributes:
        field: of the body; empty for what goes into the path.
    """

    name: str
    field: str = ""
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand of a command.

    Attributes:
        path: of the admin API, below its zone. `{id}` is the flag `id`.
        entry: what the API calls that part of the path.
        supported: whether there is such a thing in Caracal.
    """

    command: str
    subcommand: str
    method: str = "GET"
    path: str = ""
    flags: tuple[Flag, ...] = ()
    entry: str = ""
    supported: bool = True

    @property
    def verb(self) -> str:
        return verb_of(self.command, self.subcommand)

    @property
    def scope(self) -> str | None:
        return None if self.command == "catalog" else f"control:{self.command}:{self.verb}"


_READS: Final = frozenset(
    {
        *("list", "get", "tree", "tail", "admin", "active", "inbound", "outbound", "traverse"),
        *("validate", "simulate"),
    }
)
_DELETES: Final = frozenset({"delete", "terminate", "revoke"})
_ID: Final = Flag("id")
_NAME: Final = Flag("name", "name")
_CONTENT: Final = Flag("content", "content")
_PROVIDER: Final = (
    _NAME,
    Flag("identifier", "identifier"),
    Flag("kind", "kind"),
    Flag("config", "config_json", Kind.JSON),
)
_RESOURCE: Final = (
    _NAME,
    Flag("identifier", "identifier"),
    Flag("scopes", "scopes", Kind.LIST),
    Flag("upstream-url", "upstream_url"),
    Flag("credential-provider-id", "credential_provider_id"),
    Flag("operations", "operations", Kind.JSON),
    Flag("operation-enforcement", "operation_enforcement"),
)
_DESCRIPTION: Final = Flag("description", "description")
_VERSION: Final = Flag("version", "version_id")


def verb_of(command: str, subcommand: str) -> str:
    if command == "explain" or subcommand in _READS:
        return "read"
    return "delete" if subcommand in _DELETES else "write"


def _entries(
    command: str,
    group: str,
    entry: str,
    create: tuple[Flag, ...],
    patch: tuple[Flag, ...] | None = None,
) -> tuple[Command, ...]:
    """What can be done with every kind of entry of a zone."""
    every, one = f"/{group}", f"/{group}/{{{entry}}}"
    changed = () if patch is None else (Command(command, "patch", "PATCH", one, patch, entry),)
    return (
        Command(command, "list", "GET", every),
        Command(command, "get", "GET", one, (_ID,), entry),
        Command(command, "create", "POST", every, create),
        *changed,
        Command(command, "delete", "DELETE", one, (_ID,), entry),
    )


def _absent(command: str, *subcommands: str) -> tuple[Command, ...]:
    return tuple(Command(command, one, supported=False) for one in subcommands)


_POLICY: Final = "/policies/{policy}"
_SET: Final = "/policy-sets/{set}"
COMMANDS: Final = (
    *_entries("app", "applications", "application", (_NAME,), (_ID, _NAME)),
    Command(
        "app",
        "rotate-secret",
        "POST",
        "/applications/{application}/rotate-secret",
        (_ID,),
        "application",
    ),
    *_absent("app", "dcr"),
    *_entries("resource", "resources", "resource", _RESOURCE, (_ID, *_RESOURCE)),
    *_entries("identity-provider", "providers", "provider", _PROVIDER, (_ID, *_PROVIDER)),
    *_entries("policy", "policies", "policy", (_NAME, _DESCRIPTION, _CONTENT)),
    Command("policy", "validate", "POST", "/policies/validate", (_CONTENT,)),
    Command("policy", "version", "POST", f"{_POLICY}/versions", (_ID, _CONTENT), "policy"),
    *_entries("policy-set", "policy-sets", "set", (_NAME, _DESCRIPTION)),
    Command(
        "policy-set",
        "version",
        "POST",
        f"{_SET}/versions",
        (_ID, Flag("policy-versions", "manifest", Kind.IDS)),
        "set",
    ),
    Command("policy-set", "activate", "POST", f"{_SET}/activate", (_ID, _VERSION), "set"),
    Command(
        "policy-set",
        "simulate",
        "POST",
        f"{_SET}/simulate",
        (_ID, _VERSION, Flag("input", "input", Kind.JSON)),
        "set",
    ),
    *_absent("workload", "list", "get", "create", "patch", "rotate-secret", "delete"),
    *_absent("authority-record", "list"),
    *_absent("approval", "list"),
    *_absent("audit", "tail", "admin"),
    *_absent("explain", ""),
    *_absent("session", "list", "get", "tree", "suspend", "resume", "terminate"),
    *_absent("delegation", "active", "inbound", "outbound", "traverse", "revoke"),
    *_absent("grant", "list", "get", "create", "revoke"),
)
BY_NAME: Final = {(one.command, one.subcommand): one for one in COMMANDS}

KINDS: Final = {
    "application": ("name", "app"),
    "identity-provider": ("identifier", "identity-provider"),
    "resource": ("identifier", "resource"),
    "policy": ("name", "policy"),
    "policy-set": ("name", "policy-set"),
}
"""The kinds of objects in a document of desired state: what each is known by, and its command."""
STATE: Final = ("apply", "plan", "verify")


def describe() -> dict[str, object]:
    """What there is, as clients ask for it."""
    commands: dict[str, list[dict[str, object]]] = {}
    for one in COMMANDS:
        if one.supported:
            flags = [{"name": f"--{flag.name}", "summary": flag.field} for flag in one.flags]
            commands.setdefault(one.command, []).append(
                {"subcommand": one.subcommand, "scope": one.scope, "flags": flags}
            )
    listed: list[dict[str, object]] = [
        {"command": name, "summary": "", "delegatesScope": False, "subcommands": subcommands}
        for name, subcommands in commands.items()
    ]
    for name, words in (("state", STATE), ("ensure", tuple(KINDS))):
        of_objects: list[dict[str, object]] = [
            {"subcommand": word, "scope": None, "flags": []} for word in words
        ]
        listed.append(
            {"command": name, "summary": "", "delegatesScope": True, "subcommands": of_objects}
        )
    kinds = [
        {"kind": kind, "identityField": identity, "command": command}
        for kind, (identity, command) in KINDS.items()
    ]
    return {"commands": listed, "declarative": {"kinds": kinds, "documentSchema": _SCHEMA}}


_SCHEMA: Final = {
    "type": "object",
    "required": ["objects"],
    "properties": {
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kind", "spec"],
                "properties": {"kind": {"enum": list(KINDS)}, "spec": {"type": "object"}},
            },
        },
        "prune": {"type": "boolean"},
    },
}
