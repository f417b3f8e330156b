"""What a zone file says of those who act and of those who vouch for people; a part of `zone_document`."""

from typing import Annotated, Final

from msgspec import Meta

from caracal.tokens.secret import Secret
from caracal_server.control.document_texts import (
    Audience,
    HostName,
    Instant,
    KeyMember,
    Model,
    Name,
    RedirectUri,
    SecureUrl,
    Text,
    TraitText,
)

MAX_TRAITS: Final = 64
MAX_KEYS: Final = 5
MAX_REDIRECTS: Final = 16


class ApplicationDocument(Model, frozen=True, kw_only=True):
    """Registered software. It proves itself with a secret, or signs with a key of its own."""

    name: Annotated[
        Name,
        Meta(
            description='Unique in the zone. Policies call it `Application::"name"`.',
            examples=["orders-agent"],
        ),
    ]
    secret: Annotated[
        Secret | None,
        Meta(
            description="A secret of your own, 16 to 256 characters. Without it one of 256 bits is "
            "made and shown once, by the apply that creates the application."
        ),
    ] = None
    expires_at: Annotated[
        Instant | None,
        Meta(
            description="From then on the application gets nothing any more.",
            examples=["2030-01-31T12:00:00Z"],
        ),
    ] = None
    enabled: Annotated[
        bool, Meta(description="`false` refuses the application without forgetting it.")
    ] = True
    traits: Annotated[
        tuple[TraitText, ...],
        Meta(
            max_length=MAX_TRAITS,
            description="Words about it. `control:invoke` makes it a control key, within "
            "`control:scope:<scope>`, `control:max-ttl:<seconds>` and `control:expires:<instant>`.",
            examples=[["control:invoke", "control:scope:control:zone:read"]],
        ),
    ] = ()
    keys: Annotated[
        tuple[Annotated[dict[str, KeyMember], Meta(max_length=16)], ...],
        Meta(
            max_length=MAX_KEYS,
            description="Public keys, as JWKs with a `kid`, of an application that signs instead of "
            "showing a secret (`private_key_jwt`). Without `secret` it then has none.",
        ),
    ] = ()
    redirect_uris: Annotated[
        tuple[RedirectUri, ...],
        Meta(
            max_length=MAX_REDIRECTS,
            description="Where browsers are sent back to when people sign in for it to an MCP server "
            "with an `endpoint`. Compared exactly, but for the port of a loopback address.",
            examples=[["http://127.0.0.1/callback"]],
        ),
    ] = ()
    metadata_hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            max_length=MAX_REDIRECTS,
            description="Clients whose id is an https URL at one of these hosts (Client ID Metadata "
            "Documents) act as this application, for people. Empty for none.",
            examples=[["client.example"]],
        ),
    ] = ()
    takes_registrations: Annotated[
        bool,
        Meta(
            description="`true` lets clients register themselves (RFC 7591) and act as this application, "
            "for people. At most one application of a zone."
        ),
    ] = False
    title: Annotated[
        Text | None, Meta(description="What people call it; the name when left out.")
    ] = None


class SubjectIssuerDocument(Model, frozen=True, kw_only=True):
    """An OpenID provider that may vouch for users."""

    issuer: Annotated[
        SecureUrl,
        Meta(
            description="The `iss` of its ID tokens, to the letter.",
            examples=["https://accounts.example.com"],
        ),
    ]
    jwks_url: Annotated[
        SecureUrl,
        Meta(
            description="Where it publishes its keys.",
            examples=["https://accounts.example.com/keys"],
        ),
    ]
    audience: Annotated[
        Audience,
        Meta(
            description="What has to be among the `aud` of its ID tokens: the client id that your "
            "application has at it.",
            examples=["my-app"],
        ),
    ]
    authorization_url: Annotated[
        SecureUrl | None,
        Meta(
            description="Where people sign in for clients of MCP servers, with PKCE; goes with "
            "`token_url`. Register `<issuer>/oauth/zones/<zone>/callback` there for the client id that "
            "is the `audience`.",
            examples=["https://accounts.example.com/authorize"],
        ),
    ] = None
    token_url: Annotated[
        SecureUrl | None,
        Meta(
            description="Where what a sign-in yields is traded for an ID token, without a secret.",
            examples=["https://accounts.example.com/token"],
        ),
    ] = None
