"""What the STS answers: a token, and what it can do (RFC 8693 section 2.2.1, RFC 8414)."""

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate
from caracal.wire.forms import GRANT_TYPE, SubjectTokenType


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Members without a default are always there."""

    access_token: str
    token_type: str
    expires_in: int
    issued_token_type: str
    scope: str = ""
    target_resources: Sequence[str] = ()
    caracal_receipt: str = ""


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 8414 section 2. Keys belong to a zone, so `jwks_uri` is there when a zone was asked about."""

    issuer: str
    token_endpoint: str
    response_types_supported: Sequence[str]
    grant_types_supported: Sequence[str]
    token_endpoint_auth_methods_supported: Sequence[str]
    jwks_uri: str = ""


_ENCODER = msgspec.json.Encoder()


def render_token_response(token: str, mandate: Mandate, receipt: str = "") -> bytes:
    """The 200 answer for a mandate that was just minted as `token`; `receipt` refers to its entry."""
    return _ENCODER.encode(
        TokenResponse(
            access_token=token,
            token_type="Bearer",  # noqa: S106 (a type's name)
            expires_in=int((mandate.expires_at - mandate.issued_at).total_seconds()),
            issued_token_type=SubjectTokenType.ACCESS_TOKEN,
            scope=mandate.scopes.render(),
            target_resources=mandate.resources,
            caracal_receipt=receipt,
        )
    )


def render_metadata(issuer: str, zone_id: ZoneId | None = None) -> bytes:
    """The document at `/.well-known/oauth-authorization-server`."""
    keys = f"{issuer}/.well-known/jwks.json?zone_id={quote(zone_id, safe='')}" if zone_id else ""
    return _ENCODER.encode(
        ServerMetadata(
            issuer=issuer,
            token_endpoint=f"{issuer}/oauth/2/token",
            response_types_supported=(),
            grant_types_supported=(GRANT_TYPE,),
            token_endpoint_auth_methods_supported=("client_secret_post",),
            jwks_uri=keys,
        )
    )
