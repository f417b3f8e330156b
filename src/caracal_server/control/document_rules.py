"""What a zone document means, checked before anything is done with it.

Open first: `parse_document`. Every fault is found at once.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from caracal.authority.control_keys import InvalidTrait, control_key
from caracal.authority.mcp import InvalidPattern, NameRule, ResourceKind, parse_name_rule
from caracal.authority.resources import (
    Enforcement,
    InvalidResource,
    Operation,
    OperationTable,
    parse_operation,
)
from caracal.authority.scopes import LIFECYCLE, MAX_SCOPES, Scope
from caracal.authority.tool_pins import Pinning
from caracal.tokens.client_assertions import parse_client_keys
from caracal.tokens.keys import InvalidKey
from caracal_server.control.document_faults import Fault, Path, ZoneDocumentInvalid
from caracal_server.control.document_shape import did_you_mean, quoted
from caracal_server.control.party_documents import ApplicationDocument, SubjectIssuerDocument
from caracal_server.control.provider_rules import check_provider, check_secret_text
from caracal_server.control.zone_document import (
    ProviderDocument,
    ResourceDocument,
    ZoneDocument,
    convert_document,
)
from caracal_server.ports.upstream import UpstreamUrl

APPLICATION_SECRET_LENGTH: Final = (16, 256)
MAX_POLICY_BYTES: Final = 256 * 1024
_NAMED: Final = ("tools", "prompts", "resources")
_OF_SERVERS: Final = (*_NAMED, "endpoint")


def parse_document(data: object) -> ZoneDocument:
    """Read plain data as a zone document.

    Raises:
        ZoneDocumentInvalid: with every fault, each naming its field, the limit and what to do.
    """
    document = convert_document(data)
    faults = tuple(_check_document(document))
    if faults:
        raise ZoneDocumentInvalid(faults)
    return document


def operations_of(resource: ResourceDocument) -> tuple[Operation, ...]:
    """The operations, whichever form they are written in, in an order that the form does not change.

    Raises:
        InvalidResource: one of them is not an operation.
    """
    parsed = (parse_operation(*entry) for _, entry in _spelled_out(resource))
    return tuple(sorted(parsed, key=lambda operation: (operation.template, operation.method)))


def names_of(names: dict[str, str]) -> tuple[NameRule, ...]:
    """The rules for the names of an MCP server's tools, prompts or resources.

    Raises:
        InvalidPattern: one of them is not a pattern of names.
    """
    return tuple(parse_name_rule(pattern, Scope(scope)) for pattern, scope in names.items())


def _check_document(document: ZoneDocument) -> Iterator[Fault]:
    yield from _check_unique(
        "applications", "name", [entry.name for entry in document.applications]
    )
    yield from _check_unique("providers", "name", [entry.name for entry in document.providers])
    yield from _check_unique(
        "resources", "identifier", [entry.identifier for entry in document.resources]
    )
    yield from _check_unique(
        "subject_issuers", "issuer", [entry.issuer for entry in document.subject_issuers]
    )
    yield from _check_endpoints(document.resources)
    open_to_all = [at for at, one in enumerate(document.applications) if one.takes_registrations]
    for position in open_to_all[1:]:
        yield Fault(
            ("applications", position, "takes_registrations"),
            f"applications[{open_to_all[0]}] takes them; at most one does",
        )
    for position, issuer in enumerate(document.subject_issuers):
        yield from _check_issuer(issuer, ("subject_issuers", position))
    for position, application in enumerate(document.applications):
        yield from _check_application(application, ("applications", position))
    for position, provider in enumerate(document.providers):
        yield from check_provider(provider, ("providers", position))
        yield from _check_hosts(provider, ("providers", position, "allowed_hosts"))
    providers = {provider.name: provider for provider in document.providers}
    for position, resource in enumerate(document.resources):
        yield from _check_resource(resource, providers, ("resources", position))
    if document.policy is not None:
        yield from _check_policy(document.policy)


def _check_policy(text: str) -> Iterator[Fault]:
    if not text.strip():
        yield Fault(
            ("policy",), "is empty; write a rule, or leave the field out to refuse everything"
        )
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_POLICY_BYTES:
        yield Fault(
            ("policy",),
            f"has {size} bytes; at most {MAX_POLICY_BYTES} are allowed, so write fewer or shorter rules",
        )


def _check_unique(group: str, field: str, names: list[str]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        before = first.setdefault(name, position)
        if before != position:
            yield Fault(
                (group, position, field),
                f"{quoted(name)} is taken by {group}[{before}]; each needs a {field} of its own",
            )


def _check_application(application: ApplicationDocument, path: Path) -> Iterator[Fault]:
    if application.secret is not None:
        yield from check_secret_text(
            application.secret, APPLICATION_SECRET_LENGTH, (*path, "secret")
        )

    if len(set(application.traits)) != len(application.traits):
        yield Fault((*path, "traits"), "one is stated twice; state each once")
    try:
        control_key(application.traits)
    except InvalidTrait as fault:
        yield Fault((*path, "traits"), str(fault))

    for position, key in enumerate(application.keys):
        try:
            parse_client_keys((msgspec.json.encode(key).decode(),))
        except InvalidKey as fault:
            yield Fault((*path, "keys", position), str(fault))


def _check_endpoints(resources: tuple[ResourceDocument, ...]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for position, resource in enumerate(resources):
        if resource.endpoint is None:
            continue
        before = first.setdefault(resource.endpoint, position)
        if before != position:
            yield Fault(
                ("resources", position, "endpoint"),
                f"{quoted(resource.endpoint)} is taken by resources[{before}]; each needs its own",
            )


def _check_issuer(issuer: SubjectIssuerDocument, path: Path) -> Iterator[Fault]:
    if (issuer.authorization_url is None) is not (issuer.token_url is None):
        yield Fault((*path, "token_url"), "goes with authorization_url; state both or neither")
    for field in ("issuer", "jwks_url", "authorization_url", "token_url"):
        text = getattr(issuer, field)
        if text is None:
            continue
        try:
            UpstreamUrl.parse(text)
        except ValueError as fault:
            yield Fault((*path, field), f"{quoted(text)}: {fault}")


def _check_hosts(provider: ProviderDocument, path: Path) -> Iterator[Fault]:
    for position, host in enumerate(provider.allowed_hosts):
        try:
            as_compared = UpstreamUrl.parse(f"http://[{host}]" if ":" in host else f"http://{host}")
        except ValueError:
            yield Fault((*path, position), f"{quoted(host)} is not a host, such as api.example.com")
            continue
        if as_compared.host != host:
            yield Fault((*path, position), f"write it as {as_compared.host}")


def _check_resource(
    resource: ResourceDocument, providers: dict[str, ProviderDocument], path: Path
) -> Iterator[Fault]:
    yield from _check_upstream(resource, providers, path)
    if resource.provider is not None and resource.provider not in providers:
        known = did_you_mean(resource.provider, sorted(providers)) if providers else "there is none"
        yield Fault(
            (*path, "provider"), f"there is no provider {quoted(resource.provider)}; {known}"
        )
    yield from _check_operations(resource, path)
    yield from _check_kind(resource, path)
    yield from _check_names(resource, path)
    yield from _check_scopes(resource, path)


def _check_upstream(
    resource: ResourceDocument, providers: dict[str, ProviderDocument], path: Path
) -> Iterator[Fault]:
    where = (*path, "upstream")
    try:
        url = UpstreamUrl.parse(resource.upstream)
    except ValueError as fault:
        yield Fault(where, f"{quoted(resource.upstream)}: {fault}")
        return
    if "?" in resource.upstream:
        yield Fault(where, "has a query; callers bring their own, so leave it out")
    provider = providers.get(resource.provider or "")
    if provider is not None and provider.allowed_hosts and url.host not in provider.allowed_hosts:
        yield Fault(
            where,
            f"the credential of {provider.name} may not go to {url.host}; "
            "add the host to its allowed_hosts",
        )


def _check_kind(resource: ResourceDocument, path: Path) -> Iterator[Fault]:
    """What only the other kind of resource has: it would be silently without effect."""
    if resource.kind is ResourceKind.HTTP:
        for field in _OF_SERVERS:
            if getattr(resource, field):
                yield Fault((*path, field), "only an MCP server has these; write kind: mcp as well")
        if resource.record_arguments:
            yield Fault(
                (*path, "record_arguments"),
                "only an MCP server has arguments; write kind: mcp as well",
            )
        if resource.definitions is not Pinning.FIRST_USE:
            yield Fault(
                (*path, "definitions"), "only an MCP server has tools; write kind: mcp as well"
            )
        return
    if resource.operations:
        yield Fault(
            (*path, "operations"), "an MCP server has none; write what it offers under tools"
        )
    if resource.enforcement is not Enforcement.ENFORCED:
        yield Fault(
            (*path, "enforcement"), "an MCP server's tools always bind; leave this field out"
        )


def _check_names(resource: ResourceDocument, path: Path) -> Iterator[Fault]:
    for field in _NAMED:
        for pattern, scope in getattr(resource, field).items():
            try:
                parse_name_rule(pattern, Scope(scope))
            except InvalidPattern as fault:
                yield Fault((*path, field, pattern), str(fault))


def _check_operations(resource: ResourceDocument, path: Path) -> Iterator[Fault]:
    parsed: list[Operation] = []
    faults: list[Fault] = []
    for where, entry in _spelled_out(resource):
        try:
            parsed.append(parse_operation(*entry))
        except InvalidResource as fault:
            faults.append(Fault((*path, "operations", where), str(fault)))
    yield from faults
    if not faults:
        try:
            OperationTable(tuple(parsed))
        except InvalidResource as fault:
            yield Fault(
                (*path, "operations"), f"{fault}: no request can tell them apart; remove one"
            )


def _spelled_out(resource: ResourceDocument) -> Iterable[tuple[str | int, tuple[str, str, Scope]]]:
    if isinstance(resource.operations, dict):
        for name, scope in resource.operations.items():
            method, _, template = name.partition(" ")
            yield name, (method, template, Scope(scope))
    else:
        for position, entry in enumerate(resource.operations):
            yield position, (entry.method, entry.path, Scope(entry.scope))


def _check_scopes(resource: ResourceDocument, path: Path) -> Iterator[Fault]:
    used = {entry[2] for _, entry in _spelled_out(resource)} | {*resource.scopes}
    used |= {Scope(scope) for field in _NAMED for scope in getattr(resource, field).values()}
    if LIFECYCLE in used:
        yield Fault(
            (*path, "scopes"),
            f"{LIFECYCLE} is about sessions and never reaches a resource; choose another scope",
        )
    if len(used) > MAX_SCOPES:
        yield Fault(
            (*path, "scopes"), f"has {len(used)} scopes; a resource has at most {MAX_SCOPES}"
        )
