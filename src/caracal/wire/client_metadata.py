"""What a client says of itself: a registration (RFC 7591) or a Client ID Metadata Document."""

import re
import unicodedata
from typing import Annotated

import msgspec

from caracal.wire.errors import WireError

MAX_DOCUMENT_BYTES = 5_120
MAX_REDIRECTS = 8
MAX_NAME = 100
PUBLIC = "none"
_REDIRECT = re.compile(
    r"(?:https://[a-z0-9._-]+(?::[0-9]{1,5})?"
    r"|http://(?:127\.0\.0\.1|\[::1\]|localhost)(?::[0-9]{1,5})?)(?:/[\x21\x24-\x3e\x40-\x7e]*)?"
)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of what is not seen, or changes how the rest is seen."""

Redirects = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_REDIRECTS)]


class ClientMetadata(msgspec.Struct, frozen=True):
    """What is read of it; the rest means nothing here."""

    redirect_uris: Redirects
    client_id: str = ""
    client_name: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    token_endpoint_auth_method: str = PUBLIC
    client_secret: str | msgspec.UnsetType = msgspec.UNSET


def parse_metadata(body: bytes) -> ClientMetadata:
    """Read what a public client says of itself.

    Raises:
        WireError: with the code of RFC 7591 section 3.2.2.
    """
    if len(body) > MAX_DOCUMENT_BYTES:
        raise _refused(f"it has more than {MAX_DOCUMENT_BYTES} bytes")
    try:
        metadata = msgspec.json.decode(body, type=ClientMetadata)
    except (ValueError, RecursionError) as error:
        raise _refused(f"{error}"[:160]) from None
    if metadata.client_secret is not msgspec.UNSET or metadata.token_endpoint_auth_method != PUBLIC:
        raise _refused(
            "clients that register prove themselves by PKCE: auth method none, no secret"
        )
    name = metadata.client_name
    if name != name.strip() or any(unicodedata.category(one) in _UNSEEN for one in name):
        raise _refused("client_name has characters that are not seen, or spaces around it")
    for uri in metadata.redirect_uris:
        if _REDIRECT.fullmatch(uri) is None:
            raise _refused(
                "a redirect_uri is https, or http to a loopback address, without query and fragment",
                code="invalid_redirect_uri",
            )
    return metadata


class _Registered(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7591 section 3.2.1. There is nothing at which a registration could be changed."""

    client_id: str
    client_id_issued_at: int
    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: str
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    client_name: str = ""


def render_registered(client_id: str, metadata: ClientMetadata, at: int) -> bytes:
    """The answer to a registration; `at` is in seconds since 1970."""
    return msgspec.json.encode(
        _Registered(
            client_id=client_id,
            client_id_issued_at=at,
            redirect_uris=metadata.redirect_uris,
            token_endpoint_auth_method=PUBLIC,
            grant_types=("authorization_code",),
            response_types=("code",),
            client_name=metadata.client_name,
        )
    )


def _refused(description: str, *, code: str = "invalid_client_metadata") -> WireError:
    return WireError(description, code=code, field="client_metadata")
