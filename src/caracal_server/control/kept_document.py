"""A zone as it is kept, as the document that would make it so; its secrets stay where they are."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

import msgspec

from caracal.authority.mcp import NameTable
from caracal.authority.resources import Resource
from caracal.authority.zones import Application, CredentialKind, Provider
from caracal_server.control.party_documents import ApplicationDocument, SubjectIssuerDocument
from caracal_server.control.zone_document import (
    KEPT,
    OperationDocument,
    ProviderDocument,
    ResourceDocument,
    ZoneDocument,
)
from caracal_server.ports.zones import ZoneRecord

_HEADER_KINDS = (
    CredentialKind.BEARER_TOKEN,
    CredentialKind.API_KEY,
    CredentialKind.CARACAL_MANDATE,
)
_decode_key = msgspec.json.Decoder(dict[str, str]).decode


def kept_document(record: ZoneRecord) -> ZoneDocument:
    """The document that changes nothing when it is applied to the zone at this revision."""
    names = {entry.id: entry.name for entry in record.providers}
    return ZoneDocument(
        zone=record.name,
        title=record.title or None,
        applications=tuple(_application(entry, record) for entry in record.applications),
        providers=tuple(_provider(entry, record) for entry in record.providers),
        subject_issuers=tuple(
            SubjectIssuerDocument(
                issuer=one.issuer,
                jwks_url=one.jwks_url,
                audience=one.audience,
                authorization_url=one.authorization_url or None,
                token_url=one.token_url or None,
            )
            for one in record.subject_issuers
        ),
        resources=tuple(
            _resource(entry, None if entry.provider_id is None else names[entry.provider_id])
            for entry in record.resources
        ),
        policy=None if record.policy is None else record.policy.text,
    )


def plain(value: object) -> object:
    """A document as the data that `parse_document` reads; a `Secret` stands for itself."""
    match value:
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case tuple() | list():
            return [plain(entry) for entry in value]
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case _:
            return value


def _application(entry: Application, record: ZoneRecord) -> ApplicationDocument:
    return ApplicationDocument(
        name=entry.name,
        secret=KEPT if entry.id in record.secret_hashes else None,
        expires_at=entry.expires_at,
        enabled=entry.enabled,
        traits=entry.traits,
        title=entry.title or None,
        keys=tuple(_decode_key(key) for key in entry.keys),
        redirect_uris=entry.redirect_uris,
        metadata_hosts=entry.metadata_hosts,
        takes_registrations=entry.takes_registrations,
    )


def _provider(entry: Provider, record: ZoneRecord) -> ProviderDocument:
    in_header = entry.kind in _HEADER_KINDS and entry.query_parameter is None
    return ProviderDocument(
        name=entry.name,
        kind=entry.kind,
        secret=KEPT if entry.id in record.sealed_credentials else None,
        header=entry.header if in_header else None,
        scheme=entry.scheme if in_header else None,
        query_parameter=entry.query_parameter,
        username=entry.username or None,
        allowed_hosts=tuple(sorted(entry.allowed_hosts)),
        forward_identity=entry.forward_identity,
        title=entry.title or None,
    )


def _resource(entry: Resource, provider: str | None) -> ResourceDocument:
    return ResourceDocument(
        identifier=entry.identifier,
        name=entry.name,
        kind=entry.kind,
        upstream=entry.upstream_url,
        provider=provider,
        scopes=tuple(entry.scopes),
        operations=tuple(
            OperationDocument(method=one.method, path=one.template, scope=one.scope)
            for one in entry.operations.operations
        ),
        tools=_names(entry.tools),
        prompts=_names(entry.prompts),
        resources=_names(entry.contents),
        definitions=entry.definitions,
        record_arguments=entry.record_arguments,
        endpoint=entry.endpoint or None,
        enforcement=entry.enforcement,
    )


def _names(table: NameTable) -> dict[str, str]:
    return {rule.pattern: rule.scope for rule in table.rules}
