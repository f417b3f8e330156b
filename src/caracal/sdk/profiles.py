"""A configuration from the environment, or from a TOML profile. Names are those that stock clients use."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec

from caracal.sdk.configuration import (
    CONTROL_URL,
    GATEWAY_URL,
    MAX_TTL_SECONDS,
    Configuration,
    InvalidConfiguration,
    prefix_problems,
    resource_problems,
    shown,
    url_problems,
)
from caracal.sdk.private_files import read_text
from caracal.tokens.secret import Secret
from caracal.wire.json_bodies import explain

MAX_PROFILE_BYTES: Final = 65_536
MAX_SECRET_BYTES: Final = 4096
_NAMES: Final = (
    "zone_id",
    "application_id",
    "app_client_secret",
    "app_client_secret_file",
    "sts_url",
    "coordinator_url",
    "gateway_url",
    "audit_url",
)
_FIELDS: Final = {name: f"CARACAL_{name.upper()}" for name in _NAMES}
"""The variable for each key of a profile."""


class _Binding(msgspec.Struct, forbid_unknown_fields=True):
    resource: str
    upstream_prefix: str = ""


class _Profile(msgspec.Struct, forbid_unknown_fields=True):
    zone_id: str = ""
    application_id: str = ""
    app_client_secret: str = ""
    app_client_secret_file: str = ""
    sts_url: str = ""
    coordinator_url: str = ""
    gateway_url: str = ""
    audit_url: str = ""
    default_ttl_seconds: int | None = None
    credentials: tuple[_Binding, ...] = ()
    optional_credentials: tuple[_Binding, ...] = ()


class _FileBinding(msgspec.Struct, forbid_unknown_fields=True):
    resource_id: Annotated[str, msgspec.Meta(min_length=1)]
    upstream_prefix: Annotated[str, msgspec.Meta(min_length=1)]


@dataclass(slots=True)
class _Draft:
    """What was found, under the names of where it was found, and what is wrong with it."""

    names: Mapping[str, str]
    values: Mapping[str, str]
    resources: list[str] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    ttl: timedelta | None = None
    problems: list[str] = field(default_factory=list)

    def required(self, name: str) -> str:
        value = self.values.get(name, "")
        if not value:
            self.problems.append(f"{self.names[name]}: not set; `caracal apply` prints it")
        return value

    def url(self, name: str, default: str, *, required: bool) -> str:
        value = self.values.get(name, "")
        if not value and required:
            self.problems.append(f"{self.names[name]}: set it; there is no default in production")
        value = value or default
        self.problems.extend(url_problems(name, value) and url_problems(self.names[name], value))
        return value

    def bind(self, name: str, resource: str, prefix: str) -> None:
        faults = (
            *resource_problems(name, resource),
            *(prefix_problems(f"{resource} in {name}", prefix) if prefix else ()),
        )
        self.problems.extend(faults)
        if not faults:
            self.resources.append(resource)
        if prefix and not faults:
            self.prefixes[resource] = prefix

    def secret(self) -> Secret:
        inline, file = (self.values.get(name, "") for name in _SECRETS)
        one, other = (self.names[name] for name in _SECRETS)
        if bool(inline) == bool(file):
            self.problems.append(f"set one of {other} and {one}")
        elif file:
            found = read_text(Path(file), MAX_SECRET_BYTES)
            if found.problem:
                self.problems.append(f"{other}: {found.problem}")
            elif found.shared:
                self.problems.append(f"{other}: others can read {file}: chmod 600 {file}")
            elif not found.text.strip():
                self.problems.append(f"{other}: {file} is empty")
            return Secret(found.text.strip())
        return Secret(inline)

    def configuration(self, *, production: bool = False) -> Configuration:
        """Put it together.

        Raises:
            InvalidConfiguration: with everything that is wrong.
        """
        zone_id, application_id = self.required("zone_id"), self.required("application_id")
        secret = self.secret()
        sts = self.url("sts_url", CONTROL_URL, required=production)
        coordinator = self.url("coordinator_url", "", required=production)
        gateway = self.url("gateway_url", GATEWAY_URL, required=production)
        audit = self.url("audit_url", "", required=False)
        if self.problems:
            raise InvalidConfiguration(tuple(self.problems))
        return Configuration(
            zone_id=zone_id,
            application_id=application_id,
            client_secret=secret,
            sts_url=sts,
            coordinator_url=coordinator,
            gateway_url=gateway,
            audit_url=audit,
            resources=tuple(dict.fromkeys(self.resources)),
            prefixes=self.prefixes,
            default_ttl=self.ttl,
        )


_SECRETS: Final = ("app_client_secret", "app_client_secret_file")


def read_environment(environment: Mapping[str, str]) -> Configuration:
    """Read the `CARACAL_*` variables; `CARACAL_CONFIG` names a profile, which then says who the agent is.

    Raises:
        InvalidConfiguration: with everything that is wrong.
    """
    profile = environment.get("CARACAL_CONFIG", "")
    if profile:
        draft = _read_profile(Path(profile))
    else:
        found = {name: environment.get(key, "") for name, key in _FIELDS.items()}
        draft = _Draft(_FIELDS, found)
        _read_ttl(draft, "CARACAL_DEFAULT_TTL_SECONDS", environment)
    if environment.get("CARACAL_BOOTSTRAP_TOKEN"):
        draft.problems.append(
            "CARACAL_BOOTSTRAP_TOKEN: not supported; set CARACAL_APP_CLIENT_SECRET_FILE instead"
        )
    _read_resources_file(draft, environment.get("CARACAL_RESOURCES_FILE", ""))
    for entry in _entries(environment.get("CARACAL_RESOURCES", "")):
        resource, separator, prefix = entry.partition("=")
        if separator and prefix:
            draft.bind("CARACAL_RESOURCES", resource.strip(), prefix.strip())
        else:
            draft.problems.append(
                f"CARACAL_RESOURCES: {shown(entry)!r} is not like resource://id=https://upstream; "
                "without an upstream it belongs into CARACAL_APP_RESOURCES"
            )
    for entry in _entries(environment.get("CARACAL_APP_RESOURCES", "")):
        draft.bind("CARACAL_APP_RESOURCES", entry, "")
    return draft.configuration(production=environment.get("CARACAL_ENV") == "production")


def read_profile(path: Path) -> Configuration:
    """Read a TOML profile.

    Raises:
        InvalidConfiguration: with everything that is wrong.
    """
    return _read_profile(path).configuration()


def _read_profile(path: Path) -> _Draft:
    found = read_text(path, MAX_PROFILE_BYTES)
    if found.problem:
        raise InvalidConfiguration((found.problem,))
    try:
        profile = msgspec.convert(tomllib.loads(found.text), _Profile)
    except tomllib.TOMLDecodeError as error:
        # What it says names line and column, never what stands there beyond one character.
        raise InvalidConfiguration((f"{path}: no TOML: {error}",)) from None
    except msgspec.ValidationError as error:
        member, fault = explain(error)
        raise InvalidConfiguration((f"{path}: {member or 'profile'}: {fault}",)) from None
    values: dict[str, str] = {name: getattr(profile, name) for name in _FIELDS}
    if values["app_client_secret_file"]:
        # Beside the profile, wherever the program was started.
        values["app_client_secret_file"] = str(path.parent / values["app_client_secret_file"])
    draft = _Draft({name: name for name in _FIELDS}, values)
    if profile.app_client_secret and found.shared:
        draft.problems.append(f"app_client_secret: others can read {path}: chmod 600 {path}")
    if profile.default_ttl_seconds is not None:
        _take_ttl(draft, "default_ttl_seconds", str(profile.default_ttl_seconds))
    for binding in (*profile.credentials, *profile.optional_credentials):
        draft.bind("credentials", binding.resource, binding.upstream_prefix)
    return draft


def _read_resources_file(draft: _Draft, file: str) -> None:
    """`{id: prefix}`, or a list of `{"resource_id", "upstream_prefix"}`."""
    if not file:
        return
    name = "CARACAL_RESOURCES_FILE"
    read = read_text(Path(file), MAX_PROFILE_BYTES)
    found: dict[str, str] | tuple[msgspec.Raw, ...] = ()
    try:
        found = msgspec.json.decode(read.text, type=dict[str, str] | tuple[msgspec.Raw, ...])
    except (ValueError, RecursionError):
        problem = read.problem or f"{file} is no JSON object of prefixes, nor a list of bindings"
        draft.problems.append(f"{name}: {problem}")
    if isinstance(found, dict):
        for resource, prefix in found.items():
            draft.bind(name, resource, prefix)
        return
    for number, raw in enumerate(found):
        try:
            binding = msgspec.json.decode(raw, type=_FileBinding)
        except msgspec.ValidationError as error:
            member, fault = explain(error)
            draft.problems.append(f"{name}: entry {number}: {member} {fault}")
        else:
            draft.bind(name, binding.resource_id, binding.upstream_prefix)


def _read_ttl(draft: _Draft, name: str, environment: Mapping[str, str]) -> None:
    text = environment.get(name, "")
    if text:
        _take_ttl(draft, name, text)


def _take_ttl(draft: _Draft, name: str, text: str) -> None:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_TTL_SECONDS))
    seconds = int(text) if digits else 0
    if not 1 <= seconds <= MAX_TTL_SECONDS:
        draft.problems.append(f"{name}: a number of seconds from 1 to {MAX_TTL_SECONDS}")
        return
    draft.ttl = timedelta(seconds=seconds)


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
