"""What the admin API shows of the things in a zone. No row has a field for a secret."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from caracal.authority.resources import Resource
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.zones import Application, Provider
from caracal_server.control.admin.names import issuer_id, provider_identifier
from caracal_server.control.admin.provider_config import ProviderConfig, config_of, sealed_key
from caracal_server.ports.zones import ZoneRecord

_TIME_ORDERED = 7
_BITS_BELOW_THE_INSTANT = 80


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Who made something stands in the evidence and not in its row."""

    id: str
    zone_id: str
    created_at: datetime
    updated_at: datetime | None = None
    archived_at: datetime | None = None
    created_by: str | None = None
    created_via_operator: bool = False
    updated_by: str | None = None
    updated_via_operator: bool = False


class ApplicationRow(Row, frozen=True, kw_only=True):
    """`enabled` is Caracal's own."""

    name: str
    traits: tuple[str, ...]
    expires_at: datetime | None
    enabled: bool
    registration_method: str = "managed"


class NewApplicationRow(ApplicationRow, frozen=True, kw_only=True):
    """`client_secret` is shown here and never again."""

    client_secret: str


class ProviderRow(Row, frozen=True, kw_only=True):
    """`secret_config_keys` names what is sealed."""

    name: str
    identifier: str
    kind: str
    config_json: ProviderConfig
    secret_config_keys: tuple[str, ...]
    connectivity_failed_at: datetime | None = None


class OperationRow(msgspec.Struct, frozen=True):
    method: str
    path: str
    scope: str


class ResourceRow(Row, frozen=True, kw_only=True):
    """`kind` is Caracal's own: an MCP server's tools are shown by `GET /v1/zones/{zone}`."""

    name: str
    identifier: str
    upstream_url: str
    scopes: tuple[str, ...]
    credential_provider_id: str | None
    operations: tuple[OperationRow, ...]
    operation_enforcement: str
    kind: str


class IssuerRow(Row, frozen=True, kw_only=True):
    issuer: str
    jwks_url: str
    audience: str


def application_row(entry: Application, record: ZoneRecord) -> ApplicationRow:
    return ApplicationRow(
        id=entry.id,
        zone_id=record.id,
        created_at=_made_at(entry.id, record),
        name=entry.title or entry.name,
        traits=entry.traits,
        expires_at=entry.expires_at,
        enabled=entry.enabled,
    )


def new_application_row(row: ApplicationRow, secret: str) -> NewApplicationRow:
    """Show an application's new secret, once."""
    return NewApplicationRow(**msgspec.structs.asdict(row), client_secret=secret)


def provider_row(entry: Provider, record: ZoneRecord) -> ProviderRow:
    sealed = sealed_key(entry.kind) if entry.id in record.sealed_credentials else None
    return ProviderRow(
        id=entry.id,
        zone_id=record.id,
        created_at=_made_at(entry.id, record),
        name=entry.title or entry.name,
        identifier=provider_identifier(entry.name),
        kind=entry.kind,
        config_json=config_of(entry),
        secret_config_keys=() if sealed is None else (sealed,),
    )


def resource_row(entry: Resource, record: ZoneRecord) -> ResourceRow:
    return ResourceRow(
        id=entry.id,
        zone_id=record.id,
        created_at=_made_at(entry.id, record),
        name=entry.name,
        identifier=entry.identifier,
        upstream_url=entry.upstream_url,
        scopes=tuple(entry.scopes),
        credential_provider_id=entry.provider_id,
        operations=tuple(
            OperationRow(one.method, one.template, one.scope) for one in entry.operations.operations
        ),
        operation_enforcement=entry.enforcement,
        kind=entry.kind,
    )


def issuer_row(entry: SubjectIssuer, record: ZoneRecord) -> IssuerRow:
    return IssuerRow(
        id=issuer_id(entry.issuer),
        zone_id=record.id,
        created_at=record.created_at,
        issuer=entry.issuer,
        jwks_url=entry.jwks_url,
        audience=entry.audience,
    )


def _made_at(identity: str, record: ZoneRecord) -> datetime:
    """The instant in an id of RFC 9562 section 5.7; of another id, when the zone was made."""
    try:
        parsed = UUID(identity)
    except ValueError:
        return record.created_at
    if parsed.version != _TIME_ORDERED:
        return record.created_at
    return datetime.fromtimestamp((parsed.int >> _BITS_BELOW_THE_INSTANT) / 1000, UTC)
