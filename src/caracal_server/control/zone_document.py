"""What a zone file says: the model that the CLI sends and Control applies.

The texts beside the fields are the documentation: `docs/schema/zone.schema.json` is generated from them.
A zone file names its secrets by reference; a document carries them, in `Secret`, because the CLI has
resolved the references where it runs.
"""

from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from caracal.authority.mcp import ResourceKind
from caracal.authority.resources import Enforcement
from caracal.authority.tool_pins import Pinning
from caracal.authority.zones import CredentialKind
from caracal.evidence.canonical import canonical_json
from caracal.tokens.secret import Secret
from caracal_server.control.document_faults import ZoneDocumentInvalid
from caracal_server.control.document_shape import check_shape
from caracal_server.control.document_texts import (
    EndpointName,
    HeaderName,
    HostName,
    Model,
    Name,
    ParameterName,
    SchemeWord,
    ScopeText,
    Text,
)
from caracal_server.control.party_documents import ApplicationDocument, SubjectIssuerDocument

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 1000
MAX_ISSUERS: Final = 20
KEPT: Final = Secret("stays as it is kept")
"""Stands in a document for a secret that shall stay as it is. It is known by identity, so that no
document that was sent can hold it."""

EXAMPLE_POLICY: Final = """\
@id("agents-read")
permit (principal, action == Action::"orders:read", resource == Resource::"resource://orders");
"""


class ProviderDocument(Model, frozen=True, kw_only=True):
    """An upstream credential, sealed so that only the Gateway can open it, and where it goes."""

    name: Annotated[
        Name, Meta(description="Unique in the zone; resources refer to it.", examples=["github"])
    ]
    kind: Annotated[
        CredentialKind,
        Meta(
            description="How the upstream wants to see the credential: `none`; `bearer_token` (a "
            "header, `Authorization: Bearer` unless said otherwise); `api_key` (a header or a query "
            "parameter); `http_basic`; `caracal_mandate` (a mandate for the upstream to verify)."
        ),
    ]
    secret: Annotated[
        Secret | None,
        Meta(description="The credential. Needed by `bearer_token`, `api_key` and `http_basic`."),
    ] = None
    header: Annotated[
        HeaderName | None,
        Meta(
            description="The header that carries the credential, for `bearer_token`, `api_key` and "
            "`caracal_mandate`.",
            examples=["X-Api-Key"],
        ),
    ] = None
    scheme: Annotated[
        SchemeWord | None,
        Meta(
            description='The word before the credential in the header; `""` for none. `Bearer` when '
            "left out, for `api_key` none.",
            examples=["Token"],
        ),
    ] = None
    query_parameter: Annotated[
        ParameterName | None,
        Meta(
            description="The query parameter that carries the credential, for `api_key` only.",
            examples=["api_key"],
        ),
    ] = None
    username: Annotated[
        Text | None, Meta(description="The user of `http_basic`, without a colon.")
    ] = None
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            max_length=64,
            description="The only hosts that the credential is sent to; empty for whatever host a "
            "resource that uses it names.",
            examples=[["api.example.com"]],
        ),
    ] = ()
    forward_identity: Annotated[
        bool,
        Meta(
            description="Also send `X-Caracal-Identity`: a mandate that tells the upstream who calls."
        ),
    ] = False
    title: Annotated[
        Text | None, Meta(description="What people call it; the name when left out.")
    ] = None


class OperationDocument(Model, frozen=True, kw_only=True):
    """One operation, in the long form."""

    method: Annotated[str, Meta(description="The HTTP method, in capitals.", examples=["GET"])]
    path: Annotated[
        str,
        Meta(
            description="The path below `upstream`: literal segments, `{name}` for one segment, "
            "`{name*}` at the end for one or more.",
            examples=["/orders/{id}"],
        ),
    ]
    scope: Annotated[ScopeText, Meta(description="The scope that allows it.")]


Operations = (
    Annotated[dict[str, ScopeText], Meta(max_length=MAX_ENTRIES)]
    | Annotated[tuple[OperationDocument, ...], Meta(max_length=MAX_ENTRIES)]
)


Names = Annotated[dict[str, ScopeText], Meta(max_length=MAX_ENTRIES)]


class ResourceDocument(Model, frozen=True, kw_only=True):
    """A protected target behind the Gateway: an HTTP API, or an MCP server."""

    identifier: Annotated[
        str,
        Meta(
            max_length=512,
            pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[\x21\x22\x24-\x7e]+$",
            description="An absolute URI without fragment. Agents ask for it by this name, and "
            'policies call it `Resource::"identifier"`.',
            examples=["resource://orders"],
            extra={"says": "an absolute URI without fragment, such as resource://orders"},
        ),
    ]
    name: Annotated[
        Text | None, Meta(description="What people call it; the identifier when left out.")
    ] = None
    kind: Annotated[
        ResourceKind,
        Meta(
            description="`http`: an API, whose `operations` are decided on. `mcp`: an MCP server over "
            "streamable HTTP at exactly `upstream`, whose `tools`, `prompts` and `resources` are."
        ),
    ] = ResourceKind.HTTP
    upstream: Annotated[
        str,
        Meta(
            max_length=2048,
            description="Where it listens: an http or https URL without user, query and fragment. "
            "`${NAME}` is replaced from the environment of `caracal apply`.",
            examples=["https://api.example.com/v1", "${ORDERS_URL}"],
        ),
    ]
    provider: Annotated[
        str | None,
        Meta(description="The name of the provider whose credential it needs; none when left out."),
    ] = None
    scopes: Annotated[
        tuple[ScopeText, ...],
        Meta(
            max_length=64,
            description="Scopes beyond those of the operations, which are declared by being used.",
        ),
    ] = ()
    operations: Annotated[
        Operations,
        Meta(
            description="What can be done, and the scope that allows it: `METHOD /path/{template}: "
            "scope`, or a list of `method`, `path` and `scope`."
        ),
    ] = ()
    tools: Annotated[
        Names,
        Meta(
            description="Of an MCP server: the tools that may be called, and the scope that allows "
            "each. A `*` at the end stands for whatever follows; the longest beginning wins.",
            examples=[{"search": "tickets:read", "ticket_*": "tickets:write"}],
        ),
    ] = msgspec.field(default_factory=dict)
    prompts: Annotated[
        Names,
        Meta(description="Of an MCP server: the prompts that may be got; written as `tools`."),
    ] = msgspec.field(default_factory=dict)
    resources: Annotated[
        Names,
        Meta(
            description="Of an MCP server: the URIs that may be read or watched; written as `tools`.",
            examples=[{"file:///handbook/*": "handbook:read"}],
        ),
    ] = msgspec.field(default_factory=dict)
    definitions: Annotated[
        Pinning,
        Meta(
            description="Of an MCP server: which definitions of its tools are in force. `first_use`: the "
            "first that is listed; one that changes is held until an operator accepts it. `accepted`: "
            "only what an operator has accepted. `off`: whatever the server says."
        ),
    ] = Pinning.FIRST_USE
    record_arguments: Annotated[
        bool,
        Meta(
            description="Of an MCP server: whether the evidence holds the arguments of calls, up to 16 "
            "KiB, and not only their digest. Decisions that read arguments can then be replayed."
        ),
    ] = False
    endpoint: Annotated[
        EndpointName | None,
        Meta(
            description="Of an MCP server: lets clients that know nothing of Caracal reach it, at "
            "`/mcp/<zone>/<endpoint>` of the Gateway. Unique in the zone. Without it none does.",
            examples=["tickets"],
        ),
    ] = None
    enforcement: Annotated[
        Enforcement,
        Meta(
            description="`enforced`: only the listed operations pass, each with its scope. "
            "`transport_uniform`: any request passes that holds a mandate for the resource."
        ),
    ] = Enforcement.ENFORCED


class ZoneDocument(Model, frozen=True, kw_only=True):
    """A zone: who may act, on what, with whose credential, under which rules."""

    zone: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
            description="The zone's name, unique on the server.",
            examples=["shop"],
            extra={
                "says": "a zone name: 1 to 63 lower-case letters, digits and hyphens, "
                "beginning with a letter or digit"
            },
        ),
    ]
    title: Annotated[
        Text | None, Meta(description="What people call it; the name when left out.")
    ] = None
    applications: Annotated[
        tuple[ApplicationDocument, ...], Meta(max_length=MAX_ENTRIES, description="Who may act.")
    ] = ()
    providers: Annotated[
        tuple[ProviderDocument, ...],
        Meta(max_length=MAX_ENTRIES, description="With whose credential."),
    ] = ()
    subject_issuers: Annotated[
        tuple[SubjectIssuerDocument, ...],
        Meta(
            max_length=MAX_ISSUERS,
            description="Who may vouch for users: OpenID providers whose ID tokens are accepted.",
        ),
    ] = ()
    resources: Annotated[
        tuple[ResourceDocument, ...], Meta(max_length=MAX_ENTRIES, description="On what.")
    ] = ()
    policy: Annotated[
        str | None,
        Meta(
            description="The rules, in Cedar: at most 256 KiB and 2000 policies. Without a policy "
            "everything is refused.",
            examples=[EXAMPLE_POLICY],
        ),
    ] = None


def convert_document(data: object) -> ZoneDocument:
    """Convert plain data, whose shape is checked here and whose meaning is not yet.

    Args:
        data: of str, int, float, bool, None, list and dict; a `Secret` may stand for a text.

    Raises:
        ZoneDocumentInvalid: with every fault of shape.
    """
    faults = check_shape(data, ZoneDocument)
    if faults:
        raise ZoneDocumentInvalid(faults)
    return msgspec.convert(data, ZoneDocument, dec_hook=_take_secret)


def render_with_secrets(document: ZoneDocument) -> bytes:
    """The document as the JSON that is sent to Control, once, over the operator's connection."""
    return msgspec.json.encode(document, enc_hook=_reveal)


def carries_secret(document: ZoneDocument) -> bool:
    """Whether the document brings any secret along."""
    secrets = (
        *(entry.secret for entry in document.applications),
        *(entry.secret for entry in document.providers),
    )
    return any(secret is not None for secret in secrets)


def public_digest(document: ZoneDocument) -> str:
    """SHA-256 of the document's canonical JSON (RFC 8785) with every secret left blank."""
    plain = msgspec.to_builtins(document, enc_hook=_blank)
    return sha256(canonical_json(plain)).hexdigest()


def _take_secret(kind: type, value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if kind is not Secret or not isinstance(value, str):
        raise NotImplementedError
    return Secret(value)


def _reveal(value: object) -> str:
    if not isinstance(value, Secret):
        raise NotImplementedError
    return value.reveal()


def _blank(value: object) -> str:
    if not isinstance(value, Secret):
        raise NotImplementedError
    return ""
