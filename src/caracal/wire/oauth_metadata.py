"""What tells an MCP client where to get a token: metadata and challenges.

Source: RFC 9728 sections 2 and 5.1, RFC 8414 section 2, RFC 6750 section 3.
"""

from collections.abc import Sequence

import msgspec

from caracal.authority.scopes import ScopeSet
from caracal.wire.authorization import S256
from caracal.wire.endpoints import AUTHORIZE, REGISTER, TOKEN

CLIENT_CREDENTIALS = "client_credentials"
AUTHORIZATION_CODE = "authorization_code"
SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT = (
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
)
ASSERTION_ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512")

_encode = msgspec.json.Encoder().encode


class ProtectedResource(msgspec.Struct, frozen=True):
    """RFC 9728 section 2."""

    resource: str
    authorization_servers: Sequence[str]
    scopes_supported: Sequence[str]
    bearer_methods_supported: Sequence[str]
    resource_name: str


class AuthorizationServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 8414 section 2."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    response_types_supported: Sequence[str]
    grant_types_supported: Sequence[str]
    token_endpoint_auth_methods_supported: Sequence[str]
    token_endpoint_auth_signing_alg_values_supported: Sequence[str]
    code_challenge_methods_supported: Sequence[str]
    authorization_response_iss_parameter_supported: bool
    client_id_metadata_document_supported: bool = False
    registration_endpoint: str = ""


class AccessTokenResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 6749 section 5.1; `scope` is what was granted, which may be less than was asked for."""

    access_token: str
    expires_in: int
    scope: str
    token_type: str = msgspec.field(default_factory=lambda: "Bearer")
    caracal_receipt: str = ""


def render_resource(resource: str, server: str, scopes: ScopeSet, name: str) -> bytes:
    return _encode(ProtectedResource(resource, (server,), tuple(scopes), ("header",), name))


def render_server(
    server: str, keys: str, *, people: bool, documents: bool = False, registers: bool = False
) -> bytes:
    """The document.

    Args:
        server: the issuer identifier.
        keys: where the zone's keys are.
        people: whether anybody can sign in.
        documents: whether a client's id may be the URL of its metadata.
        registers: whether clients may register themselves.
    """
    return _encode(
        AuthorizationServer(
            issuer=server,
            authorization_endpoint=f"{server}/{AUTHORIZE}",
            token_endpoint=f"{server}/{TOKEN}",
            jwks_uri=keys,
            response_types_supported=("code",) if people else (),
            grant_types_supported=(CLIENT_CREDENTIALS, AUTHORIZATION_CODE)
            if people
            else (CLIENT_CREDENTIALS,),
            token_endpoint_auth_methods_supported=(SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT)
            + (("none",) if people else ()),
            token_endpoint_auth_signing_alg_values_supported=ASSERTION_ALGORITHMS,
            code_challenge_methods_supported=(S256,),
            authorization_response_iss_parameter_supported=True,
            client_id_metadata_document_supported=documents,
            registration_endpoint=f"{server}/{REGISTER}" if registers else "",
        )
    )


def render_access(response: AccessTokenResponse) -> bytes:
    return _encode(response)


def challenge(metadata: str, scopes: str, *, error: str = "", description: str = "") -> bytes:
    """The `WWW-Authenticate` of a refusal. None of what goes in holds a quotation mark or a backslash."""
    said = {
        "realm": "caracal",
        "error": error,
        "error_description": description,
        "scope": scopes,
        "resource_metadata": metadata,
    }
    return ("Bearer " + ", ".join(f'{key}="{text}"' for key, text in said.items() if text)).encode()
