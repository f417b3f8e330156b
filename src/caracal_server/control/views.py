"""What the admin API answers. No view has a field for a secret but those that show one once."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from caracal.authority.mcp import NameTable
from caracal.tokens.client_secrets import Argon2idHash, InvalidStoredSecret, parse_stored
from caracal_server.control.apply import Applied
from caracal_server.control.operators import NewOperatorToken
from caracal_server.control.renewal import Renewed
from caracal_server.control.zone_plan import Action
from caracal_server.ports.operators import OperatorScope, OperatorToken
from caracal_server.ports.zones import PolicyVersion, ZoneRecord
from caracal_server.web.health import Failing


class ZoneSummary(msgspec.Struct, frozen=True):
    """A zone in what is said of a change; `id` is null for a zone that was only planned."""

    id: str | None
    name: str
    revision: int


class ChangeView(msgspec.Struct, frozen=True):
    action: Action
    kind: str
    name: str
    fields: tuple[str, ...]


class AppliedApplication(msgspec.Struct, frozen=True, omit_defaults=True):
    """`secret` is there once: in the answer to the apply that made it."""

    name: str
    id: str | None
    secret: str | None = None


class AppliedView(msgspec.Struct, frozen=True):
    zone: ZoneSummary
    changes: tuple[ChangeView, ...]
    applications: tuple[AppliedApplication, ...]


class ZoneRow(msgspec.Struct, frozen=True, kw_only=True):
    """A zone in a list, for our own clients and stock ones alike.

    `name` is what people call it; `slug` is its name in zone files, paths and mandates.
    """

    id: str
    name: str
    slug: str
    revision: int
    created_at: datetime
    dcr_enabled: bool = False
    operator_coauthor_badge: bool = False
    operator_governed: bool = False
    updated_at: datetime | None = None
    created_by: str | None = None
    created_via_operator: bool = False
    updated_by: str | None = None
    updated_via_operator: bool = False


class ZoneList(msgspec.Struct, frozen=True):
    items: tuple[ZoneRow, ...]
    next_cursor: str | None = None


class ApplicationView(msgspec.Struct, frozen=True):
    """`secret` says where it comes from: `generated` or `brought`."""

    id: str
    name: str
    enabled: bool
    expires_at: datetime | None
    secret: str
    traits: tuple[str, ...] = ()


class ProviderView(msgspec.Struct, frozen=True):
    """`credential` says whether one is sealed."""

    id: str
    name: str
    kind: str
    header: str | None
    scheme: str
    query_parameter: str | None
    username: str
    allowed_hosts: tuple[str, ...]
    forward_identity: bool
    credential: bool


class OperationView(msgspec.Struct, frozen=True):
    method: str
    path: str
    scope: str


class NameView(msgspec.Struct, frozen=True):
    """A tool, prompt or resource of an MCP server; `name` may end with a `*`."""

    name: str
    scope: str


class ResourceView(msgspec.Struct, frozen=True):
    id: str
    identifier: str
    name: str
    upstream: str
    provider: str | None
    scopes: tuple[str, ...]
    operations: tuple[OperationView, ...]
    enforcement: str
    kind: str
    tools: tuple[NameView, ...]
    prompts: tuple[NameView, ...]
    resources: tuple[NameView, ...]
    definitions: str
    record_arguments: bool


class PolicyVersionView(msgspec.Struct, frozen=True):
    digest: str
    text: str
    created_at: datetime
    active: bool


class PolicyVersionList(msgspec.Struct, frozen=True):
    items: tuple[PolicyVersionView, ...]


class SubjectIssuerView(msgspec.Struct, frozen=True):
    issuer: str
    jwks_url: str
    audience: str


class ZoneView(ZoneRow, frozen=True, kw_only=True):
    applications: tuple[ApplicationView, ...]
    providers: tuple[ProviderView, ...]
    resources: tuple[ResourceView, ...]
    policy: PolicyVersionView | None
    subject_issuers: tuple[SubjectIssuerView, ...] = ()


class OperatorView(msgspec.Struct, frozen=True):
    id: str
    name: str
    scopes: tuple[OperatorScope, ...]
    created_at: datetime
    expires_at: datetime | None


class NewOperatorView(OperatorView, frozen=True):
    """`token` is shown here and never again."""

    token: str


class OperatorList(msgspec.Struct, frozen=True):
    items: tuple[OperatorView, ...]


class ZoneStatus(msgspec.Struct, frozen=True):
    id: str
    name: str
    revision: int
    applications: int
    providers: int
    resources: int
    policy: str | None
    counts: Mapping[str, int]


class InstallationView(msgspec.Struct, frozen=True):
    """Whether the installed files are those of the release: `intact`, `different` or `unknown`."""

    state: str
    digest: str
    detail: str


class StatusView(msgspec.Struct, frozen=True):
    version: str
    installation: InstallationView
    ready: bool
    failing: tuple[Failing, ...]
    zones: tuple[ZoneStatus, ...]
    operators: int


def applied_view(applied: Applied) -> AppliedView:
    """Show what an apply did, or would do; reveals the secrets that it made."""
    return AppliedView(
        zone=ZoneSummary(applied.zone_id, applied.desired.name, applied.revision),
        changes=tuple(
            ChangeView(change.action, change.kind, change.name, change.fields)
            for change in applied.plan.changes
        ),
        applications=tuple(
            AppliedApplication(
                entry.name,
                applied.applications.get(entry.name),
                secret.reveal() if (secret := applied.secrets.get(entry.id)) else None,
            )
            for entry in applied.desired.applications
        ),
    )


def renewed_view(renewed: Renewed) -> AppliedApplication:
    """Show an application's new secret, once."""
    application = renewed.application
    return AppliedApplication(application.name, application.id, renewed.secret.reveal())


def zone_summary(record: ZoneRecord) -> ZoneSummary:
    return ZoneSummary(record.id, record.name, record.revision)


def zone_row(record: ZoneRecord) -> ZoneRow:
    return ZoneRow(
        id=record.id,
        name=record.title or record.name,
        slug=record.name,
        revision=record.revision,
        created_at=record.created_at,
    )


def zone_view(record: ZoneRecord) -> ZoneView:
    """Show a zone without anything secret."""
    provider_names = {entry.id: entry.name for entry in record.providers}
    policy = record.policy
    return ZoneView(
        id=record.id,
        name=record.title or record.name,
        slug=record.name,
        revision=record.revision,
        created_at=record.created_at,
        applications=tuple(
            ApplicationView(
                entry.id,
                entry.name,
                entry.enabled,
                entry.expires_at,
                _origin(record.secret_hashes.get(entry.id, "")),
                entry.traits,
            )
            for entry in record.applications
        ),
        providers=_provider_views(record),
        resources=tuple(
            ResourceView(
                id=entry.id,
                identifier=entry.identifier,
                name=entry.name,
                upstream=entry.upstream_url,
                provider=None if entry.provider_id is None else provider_names[entry.provider_id],
                scopes=tuple(entry.scopes),
                operations=tuple(
                    OperationView(operation.method, operation.template, operation.scope)
                    for operation in entry.operations.operations
                ),
                enforcement=entry.enforcement,
                kind=entry.kind,
                tools=_name_views(entry.tools),
                prompts=_name_views(entry.prompts),
                resources=_name_views(entry.contents),
                definitions=entry.definitions,
                record_arguments=entry.record_arguments,
            )
            for entry in record.resources
        ),
        policy=None if policy is None else policy_view(policy, active=True),
        subject_issuers=tuple(
            SubjectIssuerView(entry.issuer, entry.jwks_url, entry.audience)
            for entry in record.subject_issuers
        ),
    )


def _name_views(names: NameTable) -> tuple[NameView, ...]:
    return tuple(NameView(rule.pattern, rule.scope) for rule in names.rules)


def _provider_views(record: ZoneRecord) -> tuple[ProviderView, ...]:
    return tuple(
        ProviderView(
            id=entry.id,
            name=entry.name,
            kind=entry.kind,
            header=entry.header,
            scheme=entry.scheme,
            query_parameter=entry.query_parameter,
            username=entry.username,
            allowed_hosts=tuple(sorted(entry.allowed_hosts)),
            forward_identity=entry.forward_identity,
            credential=entry.id in record.sealed_credentials,
        )
        for entry in record.providers
    )


def _origin(stored: str) -> str:
    try:
        return "brought" if isinstance(parse_stored(stored), Argon2idHash) else "generated"
    except InvalidStoredSecret:
        return "none"


def policy_view(policy: PolicyVersion, *, active: bool) -> PolicyVersionView:
    return PolicyVersionView(policy.digest, policy.text, policy.created_at, active)


def operator_view(token: OperatorToken) -> OperatorView:
    return OperatorView(
        token.id, token.name, tuple(sorted(token.scopes)), token.created_at, token.expires_at
    )


def new_operator_view(made: NewOperatorToken) -> NewOperatorView:
    """Show a new token, once."""
    kept = made.kept
    return NewOperatorView(
        kept.id,
        kept.name,
        tuple(sorted(kept.scopes)),
        kept.created_at,
        kept.expires_at,
        made.token.reveal(),
    )


def zone_status(record: ZoneRecord, counts: Mapping[str, int]) -> ZoneStatus:
    return ZoneStatus(
        id=record.id,
        name=record.name,
        revision=record.revision,
        applications=len(record.applications),
        providers=len(record.providers),
        resources=len(record.resources),
        policy=None if record.policy is None else record.policy.digest,
        counts=counts,
    )
