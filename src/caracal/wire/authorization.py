"""The authorization request of a client that a person signs in for (RFC 6749 section 4.1)."""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlencode

import msgspec

from caracal.authority.outcomes import Reason
from caracal.authority.scopes import ScopeSet
from caracal.wire.errors import WireError
from caracal.wire.forms import read_fields, read_scopes

MAX_QUERY_BYTES = 8_192
MAX_STATE = 1_024
S256 = "S256"

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_STATE = re.compile(r"[\x20-\x7e]*")
_LOOPBACK = re.compile(
    r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[0-9]{1,5})?((?:/[^\s?#@]*)?)"
)


class AuthorizationRequest(msgspec.Struct, frozen=True):
    """Who wants what, and where the browser goes back to; nothing in it is proven."""

    client_id: str
    redirect_uri: str
    state: str
    challenge: str
    resource: str
    scopes: ScopeSet


def read_request(query: bytes) -> tuple[dict[str, str], list[str]]:
    """The fields of a request, each stated once, and its `resource` fields.

    Raises:
        WireError: it is too long or not well formed.
    """
    if len(query) > MAX_QUERY_BYTES:
        raise _refused("", f"the request has more than {MAX_QUERY_BYTES} bytes")
    return read_fields(query)


def redirects_match(registered: str, asked: str) -> bool:
    """Whether a browser may be sent to `asked`: to the letter, but for a loopback's port (RFC 8252)."""
    if registered == asked:
        return True
    one, other = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(asked)
    return one is not None and other is not None and one.groups() == other.groups()


def parse_request(fields: dict[str, str], resources: list[str]) -> AuthorizationRequest:
    """Read what a client whose redirect is known asks for.

    Raises:
        WireError: for the first fault; its code is what the client is told (RFC 6749 section 4.1.2.1).
    """
    if fields.get("response_type") != "code":
        raise _refused(
            "response_type", "response_type must be code", code="unsupported_response_type"
        )
    if "request" in fields or "request_uri" in fields:
        raise _refused("request", "request objects are not read", code="request_not_supported")
    if fields.get("code_challenge_method") != S256:
        raise _refused("code_challenge_method", "code_challenge_method must be S256")
    challenge = fields.get("code_challenge", "")
    if _CHALLENGE.fullmatch(challenge) is None:
        raise _refused("code_challenge", "code_challenge is 43 characters of base64url")
    state = fields.get("state", "")
    if len(state) > MAX_STATE or _STATE.fullmatch(state) is None:
        raise _refused("state", f"state is at most {MAX_STATE} printable characters")
    if len(resources) != 1 or not resources[0]:
        raise _refused("resource", "name one resource", code="invalid_target")
    try:
        scopes = read_scopes(fields.get("scope", ""))
    except WireError as error:
        raise _refused("scope", error.description, code="invalid_scope") from None
    return AuthorizationRequest(
        fields.get("client_id", ""),
        fields.get("redirect_uri", ""),
        state,
        challenge,
        resources[0],
        scopes,
    )


def challenge_of(verifier: str) -> str:
    """The S256 code challenge (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def verifies(verifier: str, challenge: str) -> bool:
    """Whether a code verifier is the one that a challenge was made of."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    return hmac.compare_digest(challenge_of(verifier).encode(), challenge.encode())


def with_query(url: str, fields: dict[str, str]) -> str:
    """The URL with these fields behind it; empty ones are left out."""
    said = urlencode({name: text for name, text in fields.items() if text})
    return f"{url}{'&' if '?' in url else '?'}{said}"


def _refused(name: str, description: str, *, code: str = "invalid_request") -> WireError:
    return WireError(description, code=code, field=name, reason=Reason.REQUEST_MALFORMED)
