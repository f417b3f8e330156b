"""The config of a provider as the admin API spells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from caracal.authority.zones import CredentialKind, Provider
from caracal.tokens.secret import Secret
from caracal_server.control.admin.subjects import PROVIDER
from caracal_server.control.zone_document import ProviderDocument
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import RequestRefused

SEALED: Final[Mapping[CredentialKind, str]] = {
    CredentialKind.BEARER_TOKEN: "bearer_token",
    CredentialKind.API_KEY: CredentialKind.API_KEY.value,
    CredentialKind.HTTP_BASIC: "password",
}
"""Per kind, the field that is sealed."""
_PLACED: Final = {"header": "header_name", "query": "query_param_name"}
_ELSEWHERE: Final = {
    "oauth2_authorization_code": "Caracal stores no OAuth tokens of users; run the flow in your "
    "application and register a bearer_token provider",
    "oauth2_client_credentials": "Caracal does not fetch tokens for upstreams; register a "
    "bearer_token or api_key provider",
}
ABSENT_KINDS: Final = frozenset(_ELSEWHERE)


class ProviderConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is public of the config."""

    auth_location: str | None = None
    header_name: str | None = None
    query_param_name: str | None = None
    auth_header: str | None = None
    auth_scheme: str | None = None
    username: str | None = None
    allowed_token_hosts: tuple[str, ...] = ()
    forward_caracal_identity: bool = False


class GivenConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The config that a request brings; a secret that it leaves out is kept, and where it may go."""

    auth_location: str | None = None
    header_name: str | None = None
    query_param_name: str | None = None
    auth_header: str | None = None
    auth_scheme: str | None = None
    username: str | None = None
    allowed_token_hosts: tuple[str, ...] | UnsetType = UNSET
    forward_caracal_identity: bool = False
    allow_runtime_injection: bool = False
    api_key: str | UnsetType = UNSET
    bearer_token: str | UnsetType = UNSET
    password: str | UnsetType = UNSET


def sealed_key(kind: CredentialKind) -> str | None:
    return SEALED.get(kind)


def kind_of(text: str) -> CredentialKind:
    """The kind of a provider.

    Raises:
        RequestRefused: Caracal has no such kind.
    """
    if text in _ELSEWHERE:
        raise PROVIDER.absent("kind", f"{text}: {_ELSEWHERE[text]}")
    try:
        return CredentialKind(text)
    except ValueError:
        known = ", ".join(kind.value for kind in CredentialKind)
        raise PROVIDER.refuse("kind", f"must be one of {known}") from None


def config_of(entry: Provider) -> ProviderConfig:
    """The public config of a provider."""
    hosts = tuple(sorted(entry.allowed_hosts))
    shared = ProviderConfig(
        allowed_token_hosts=hosts, forward_caracal_identity=entry.forward_identity
    )
    match entry.kind:
        case CredentialKind.API_KEY:
            in_query = entry.query_parameter is not None
            return msgspec.structs.replace(
                shared,
                auth_location="query" if in_query else "header",
                header_name=None if in_query else entry.header,
                query_param_name=entry.query_parameter,
                auth_scheme=entry.scheme or None,
            )
        case CredentialKind.BEARER_TOKEN | CredentialKind.CARACAL_MANDATE:
            return msgspec.structs.replace(
                shared, auth_header=entry.header, auth_scheme=entry.scheme
            )
        case CredentialKind.HTTP_BASIC:
            return msgspec.structs.replace(shared, username=entry.username)
        case _:
            return shared


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays where a config says nothing: the secret, and the only hosts that it is sent to."""

    secret: Secret | None = None
    hosts: tuple[str, ...] = ()


def configured(
    name: str, title: str | None, kind: CredentialKind, config: GivenConfig, kept: Kept
) -> ProviderDocument:
    """The provider that a config asks for.

    Raises:
        RequestRefused: a field has no meaning for the kind, or Caracal has nothing for it.
    """
    _check(kind, config)
    given = getattr(config, SEALED[kind]) if kind in SEALED else UNSET
    header, parameter, hosts = config.auth_header, None, config.allowed_token_hosts
    if kind is CredentialKind.API_KEY:
        header, parameter = _placed(config)
    return ProviderDocument(
        name=name,
        title=title,
        kind=kind,
        secret=kept.secret if given is UNSET else Secret(str(given)),
        header=header,
        scheme=config.auth_scheme,
        query_parameter=parameter,
        username=config.username,
        allowed_hosts=kept.hosts if hosts is UNSET else hosts,
        forward_identity=config.forward_caracal_identity,
    )


def _check(kind: CredentialKind, config: GivenConfig) -> None:
    if config.allow_runtime_injection:
        raise PROVIDER.absent(
            "config_json.allow_runtime_injection",
            "no credential ever leaves the Gateway; programs are governed by `caracal run`",
        )
    others = set(SEALED.values()) - {SEALED.get(kind)}
    for field in sorted(others):
        if getattr(config, field) is not UNSET:
            raise _invalid(field, f"has no meaning for the kind {kind}")
    fields = (
        {"auth_header"} if kind is CredentialKind.API_KEY else {"auth_location", *_PLACED.values()}
    )
    for field in sorted(fields):
        if getattr(config, field) is not None:
            raise _invalid(field, f"has no meaning for the kind {kind}")


def _placed(config: GivenConfig) -> tuple[str | None, str | None]:
    location = config.auth_location or ("query" if config.query_param_name else "header")
    if location not in _PLACED:
        raise _invalid("auth_location", "must be header or query")
    needed = _PLACED[location]
    if not getattr(config, needed):
        raise _invalid(needed, f"is missing; the location {location} needs it")
    other = next(field for field in _PLACED.values() if field != needed)
    if getattr(config, other):
        raise _invalid(other, f"has no meaning for the location {location}")
    return config.header_name, config.query_param_name


def _invalid(field: str, message: str) -> RequestRefused:
    return PROVIDER.refuse(f"config_json.{field}", message, AdminAnswer.INVALID_PROVIDER_CONFIG)
