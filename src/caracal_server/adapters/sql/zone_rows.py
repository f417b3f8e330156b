"""Zones as rows, and back."""

from typing import Any, NamedTuple

import msgspec

from caracal.authority.identifiers import ApplicationId, ProviderId, ResourceId
from caracal.authority.mcp import NameRule, NameTable, ResourceKind
from caracal.authority.resources import (
    Enforcement,
    Operation,
    OperationTable,
    Resource,
    ResourceUri,
)
from caracal.authority.scopes import Scope, ScopeSet
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.tool_pins import Pinning, ToolPin
from caracal.authority.zones import Application, CredentialKind, Provider
from caracal_server.adapters.sql.instants import from_us, optional_from_us, optional_to_us, to_us
from caracal_server.adapters.sql.statements import Row
from caracal_server.ports.zones import RetiringSecret, ZoneRecord

_encode = msgspec.json.Encoder().encode


class _StoredOperation(NamedTuple):
    method: str
    template: str
    scope: str


class _StoredServer(msgspec.Struct):
    """What an MCP server offers."""

    tools: tuple[NameRule, ...] = ()
    prompts: tuple[NameRule, ...] = ()
    resources: tuple[NameRule, ...] = ()
    definitions: Pinning = Pinning.FIRST_USE
    record_arguments: bool = False
    endpoint: str = ""


_decode_server = msgspec.json.Decoder(_StoredServer).decode
_decode_keys = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_operations = msgspec.json.Decoder(tuple[_StoredOperation, ...]).decode


def application_rows(record: ZoneRecord) -> list[Row]:
    return [
        (
            application.id,
            record.id,
            position,
            application.name,
            application.enabled,
            optional_to_us(application.expires_at),
            record.secret_hashes.get(application.id),
            *_retiring(record.retiring_secrets.get(application.id)),
            " ".join(application.traits) or None,
            application.title or None,
            _encode(application.keys).decode() if application.keys else None,
            " ".join(application.redirect_uris) or None,
            " ".join(application.metadata_hosts) or None,
            application.takes_registrations or None,
        )
        for position, application in enumerate(record.applications)
    ]


def _retiring(secret: RetiringSecret | None) -> tuple[str | None, int | None]:
    return (None, None) if secret is None else (secret.stored, to_us(secret.until))


def read_retiring(row: Any) -> RetiringSecret | None:
    if row.retiring_secret_hash is None:
        return None
    return RetiringSecret(row.retiring_secret_hash, from_us(row.retiring_secret_until))


def read_application(row: Any) -> Application:
    return Application(
        ApplicationId(row.id),
        row.name,
        row.enabled,
        optional_from_us(row.expires_at),
        tuple((row.traits or "").split()),
        row.title or "",
        () if row.public_keys is None else _decode_keys(row.public_keys),
        tuple((row.redirect_uris or "").split()),
        tuple((row.metadata_hosts or "").split()),
        bool(row.takes_registrations),
    )


def issuer_rows(record: ZoneRecord) -> list[Row]:
    return [
        (
            record.id,
            one.issuer,
            position,
            one.jwks_url,
            one.audience,
            one.authorization_url or None,
            one.token_url or None,
        )
        for position, one in enumerate(record.subject_issuers)
    ]


def read_issuer(row: Any) -> SubjectIssuer:
    return SubjectIssuer(
        row.issuer,
        row.jwks_url,
        row.audience,
        row.authorization_url or "",
        row.token_url or "",
    )


def provider_rows(record: ZoneRecord) -> list[Row]:
    return [
        (
            provider.id,
            record.id,
            position,
            provider.name,
            provider.kind.value,
            provider.header,
            provider.scheme,
            provider.query_parameter,
            provider.username,
            " ".join(sorted(provider.allowed_hosts)),
            provider.forward_identity,
            record.sealed_credentials.get(provider.id),
            record.credential_fingerprints.get(provider.id),
            provider.title or None,
        )
        for position, provider in enumerate(record.providers)
    ]


def read_provider(row: Any) -> Provider:
    return Provider(
        id=ProviderId(row.id),
        name=row.name,
        kind=CredentialKind(row.kind),
        header=row.header,
        scheme=row.scheme,
        query_parameter=row.query_parameter,
        username=row.username,
        allowed_hosts=frozenset(row.allowed_hosts.split()),
        forward_identity=row.forward_identity,
        title=row.title or "",
    )


def resource_rows(record: ZoneRecord) -> list[Row]:
    return [
        (
            resource.id,
            record.id,
            position,
            resource.identifier,
            resource.name,
            resource.upstream_url,
            resource.provider_id,
            resource.scopes.render(),
            _encode(
                [(one.method, one.template, one.scope) for one in resource.operations.operations]
            ).decode(),
            resource.enforcement.value,
            _stored_server(resource),
        )
        for position, resource in enumerate(record.resources)
    ]


def _stored_server(resource: Resource) -> str | None:
    if resource.kind is not ResourceKind.MCP:
        return None
    stored = _StoredServer(
        resource.tools.rules,
        resource.prompts.rules,
        resource.contents.rules,
        resource.definitions,
        resource.record_arguments,
        resource.endpoint,
    )
    return _encode(stored).decode()


def read_resource(row: Any) -> Resource:
    server = _StoredServer() if row.mcp is None else _decode_server(row.mcp)
    operations = tuple(
        Operation(one.method, one.template, Scope(one.scope))
        for one in _decode_operations(row.operations)
    )
    return Resource(
        id=ResourceId(row.id),
        identifier=ResourceUri(row.identifier),
        name=row.name,
        upstream_url=row.upstream_url,
        provider_id=None if row.provider_id is None else ProviderId(row.provider_id),
        scopes=ScopeSet.parse(row.scopes),
        operations=OperationTable(operations),
        enforcement=Enforcement(row.enforcement),
        kind=ResourceKind.HTTP if row.mcp is None else ResourceKind.MCP,
        tools=NameTable(server.tools),
        prompts=NameTable(server.prompts),
        contents=NameTable(server.resources),
        definitions=server.definitions,
        record_arguments=server.record_arguments,
        endpoint=server.endpoint,
    )


def pin_rows(record: ZoneRecord) -> list[Row]:
    return [
        (
            record.id,
            pin.resource,
            pin.tool,
            position,
            pin.digest,
            pin.text,
            pin.held,
            pin.held_text,
            to_us(pin.seen_at),
            pin.accepted_by,
        )
        for position, pin in enumerate(record.tool_pins)
    ]


def read_pin(row: Any) -> ToolPin:
    return ToolPin(
        resource=ResourceId(row.resource_id),
        tool=row.tool,
        digest=row.digest,
        text=row.definition,
        held=row.held_digest,
        held_text=row.held_definition,
        seen_at=from_us(row.seen_at),
        accepted_by=row.accepted_by,
    )
