"""A zone document in the terms of decisions: what the zone shall be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from caracal.authority.identifiers import ApplicationId, ProviderId, ResourceId, ZoneId
from caracal.authority.mcp import NameTable
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.resources import OperationTable, Resource, ResourceUri
from caracal.authority.scopes import ScopeSet
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.zones import Application, CredentialKind, Provider
from caracal.evidence.canonical import canonical_json
from caracal_server.control.document_rules import names_of, operations_of
from caracal_server.control.party_documents import ApplicationDocument
from caracal_server.control.zone_document import ProviderDocument, ResourceDocument, ZoneDocument
from caracal_server.ports.zones import ZoneRecord

_SCHEMES: Final = {
    CredentialKind.BEARER_TOKEN: "Bearer",
    CredentialKind.CARACAL_MANDATE: "Bearer",
    CredentialKind.HTTP_BASIC: "Basic",
}
_AUTHORIZATION: Final = "Authorization"

Id = TypeVar("Id", bound=str)


@dataclass(frozen=True, slots=True)
class DesiredZone:
    """What a document asks for. Whatever had its name before keeps its id."""

    id: ZoneId
    name: str
    applications: tuple[Application, ...]
    providers: tuple[Provider, ...]
    resources: tuple[Resource, ...]
    policy: str | None
    subject_issuers: tuple[SubjectIssuer, ...] = ()
    title: str = ""

    @property
    def vocabulary(self) -> PolicyVocabulary:
        """The names that the zone's policy may use."""
        return PolicyVocabulary(
            applications=frozenset(entry.name for entry in self.applications),
            resources={entry.identifier: entry.scopes for entry in self.resources},
        )


def desire(
    document: ZoneDocument, record: ZoneRecord | None, *, new_id: Callable[[], str]
) -> DesiredZone:
    """Work out what a document asks for.

    Args:
        document: as `parse_document` returned it.
        record: the zone as it is; `None` for a new one.
        new_id: called once for each thing that is new.
    """
    applications, providers, resources = _known_ids(record)
    provider_ids = {
        entry.name: providers.get(entry.name) or ProviderId(new_id())
        for entry in document.providers
    }
    return DesiredZone(
        id=ZoneId(new_id()) if record is None else record.id,
        name=document.zone,
        applications=tuple(
            _application(entry, applications.get(entry.name) or ApplicationId(new_id()))
            for entry in document.applications
        ),
        providers=tuple(_provider(entry, provider_ids[entry.name]) for entry in document.providers),
        resources=tuple(
            _resource(
                entry,
                resources.get(entry.identifier) or ResourceId(new_id()),
                None if entry.provider is None else provider_ids[entry.provider],
            )
            for entry in document.resources
        ),
        policy=document.policy,
        subject_issuers=tuple(
            SubjectIssuer(
                entry.issuer,
                entry.jwks_url,
                entry.audience,
                entry.authorization_url or "",
                entry.token_url or "",
            )
            for entry in document.subject_issuers
        ),
        title=document.title or "",
    )


def _known_ids(
    record: ZoneRecord | None,
) -> tuple[dict[str, ApplicationId], dict[str, ProviderId], dict[str, ResourceId]]:
    if record is None:
        return {}, {}, {}
    return (
        {entry.name: entry.id for entry in record.applications},
        {entry.name: entry.id for entry in record.providers},
        {entry.identifier: entry.id for entry in record.resources},
    )


def _application(document: ApplicationDocument, application_id: ApplicationId) -> Application:
    expires_at = document.expires_at
    return Application(
        id=application_id,
        name=document.name,
        enabled=document.enabled,
        expires_at=None if expires_at is None else _utc(expires_at),
        traits=tuple(sorted(document.traits)),
        title=document.title or "",
        redirect_uris=tuple(sorted(document.redirect_uris)),
        metadata_hosts=tuple(sorted(document.metadata_hosts)),
        takes_registrations=document.takes_registrations,
        keys=tuple(canonical_json(dict(key)).decode() for key in document.keys),
    )


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _provider(document: ProviderDocument, provider_id: ProviderId) -> Provider:
    header = document.header
    if header is None and document.kind in _SCHEMES:
        header = _AUTHORIZATION
    scheme = document.scheme
    return Provider(
        id=provider_id,
        name=document.name,
        kind=document.kind,
        header=header,
        scheme=_SCHEMES.get(document.kind, "") if scheme is None else scheme,
        query_parameter=document.query_parameter,
        username=document.username or "",
        allowed_hosts=frozenset(document.allowed_hosts),
        forward_identity=document.forward_identity,
        title=document.title or "",
    )


def _resource(
    document: ResourceDocument, resource_id: ResourceId, provider_id: ProviderId | None
) -> Resource:
    operations = operations_of(document)
    named = [names_of(names) for names in (document.tools, document.prompts, document.resources)]
    used = [operation.scope for operation in operations]
    used += [rule.scope for rules in named for rule in rules]
    tools, prompts, contents = map(NameTable, named)
    return Resource(
        id=resource_id,
        identifier=ResourceUri(document.identifier),
        name=document.name or document.identifier,
        upstream_url=document.upstream,
        provider_id=provider_id,
        scopes=_scopes(document.scopes, used),
        operations=OperationTable(operations),
        enforcement=document.enforcement,
        kind=document.kind,
        tools=tools,
        prompts=prompts,
        contents=contents,
        definitions=document.definitions,
        record_arguments=document.record_arguments,
        endpoint=document.endpoint or "",
    )


def _scopes(extra: Iterable[str], used: Iterable[str]) -> ScopeSet:
    return ScopeSet.from_texts((*extra, *used))
