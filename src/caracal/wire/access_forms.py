"""The token request of an MCP client: a form post (RFC 6749 sections 2.3.1 and 4.4.2, RFC 8707)."""

from base64 import b64decode
from urllib.parse import unquote_plus

import msgspec

from caracal.authority.identifiers import is_id
from caracal.authority.outcomes import Reason
from caracal.authority.scopes import ScopeSet
from caracal.tokens.client_assertions import ASSERTION_TYPE, claimed_client
from caracal.tokens.jws import RawToken
from caracal.tokens.refusal import TokenRefused
from caracal.tokens.secret import Secret
from caracal.wire.errors import WireError
from caracal.wire.forms import read_fields, read_scopes
from caracal.wire.oauth_metadata import AUTHORIZATION_CODE, CLIENT_CREDENTIALS

MAX_BASIC_BYTES = 2048
_GRANTS = (CLIENT_CREDENTIALS, AUTHORIZATION_CODE)


class AccessForm(msgspec.Struct, frozen=True):
    """A well-formed request; nothing in it is proven.

    Attributes:
        secret, assertion: at most one is there, and exactly one without a code.
        code: what a person's browser brought back, with where it went and the code verifier.
    """

    client_id: str
    resource: str
    scopes: ScopeSet
    secret: Secret | None = None
    assertion: RawToken | None = None
    code: Secret | None = None
    redirect_uri: str = ""
    verifier: Secret | None = None

    def __repr__(self) -> str:
        """Say whom it is from, and nothing that could be presented again."""
        return f"AccessForm(client_id={self.client_id!r})"


def parse_access_body(body: bytes, authorization: bytes | None) -> AccessForm:
    """Read a request whose envelope was checked. Unknown fields are ignored (RFC 6749 section 3.2).

    Raises:
        WireError: for the first fault, in this order: encoding and repeated fields, grant type, client,
            scopes, resource.
    """
    fields, resources = read_fields(body)
    kind = fields.get("grant_type", "")
    if kind not in _GRANTS:
        reason = Reason.GRANT_TYPE_UNSUPPORTED if kind else Reason.REQUEST_MALFORMED
        raise _refused("grant_type", f"grant_type must be one of {', '.join(_GRANTS)}", reason)
    by_code = kind == AUTHORIZATION_CODE
    client_id, secret, assertion = _client(fields, authorization, may_be_public=by_code)
    scopes = read_scopes(fields.get("scope", ""))
    if len(resources) != 1 or not resources[0]:
        raise _refused(
            "resource",
            "name one resource: the URL of the MCP server, as its metadata states it",
            Reason.RESOURCE_MISSING,
        )
    public = by_code and secret is None and assertion is None
    if not client_id or not (public or is_id(client_id)):
        raise _refused("client_id", "client_id is no client's", Reason.CLIENT_UNKNOWN)
    form = AccessForm(client_id, resources[0], scopes, secret, assertion)
    if not by_code:
        return form
    code, verifier = fields.get("code", ""), fields.get("code_verifier", "")
    if not code or not verifier:
        raise _refused("code", "send code and code_verifier")
    return msgspec.structs.replace(
        form,
        code=Secret(code),
        redirect_uri=fields.get("redirect_uri", ""),
        verifier=Secret(verifier),
    )


def _client(
    fields: dict[str, str], authorization: bytes | None, *, may_be_public: bool
) -> tuple[str, Secret | None, RawToken | None]:
    """Who asks and by which one of the ways to show it (RFC 6749 section 2.3: not more than one)."""
    shown, signed = fields.get("client_secret", ""), fields.get("client_assertion", "")
    ways = (authorization is not None) + bool(shown) + bool(signed)
    if ways == 0 and may_be_public:
        return fields.get("client_id", ""), None, None
    if ways != 1:
        raise _refused(
            "client_secret",
            "prove the client in one way: HTTP Basic, client_secret or client_assertion",
            Reason.CLIENT_SECRET_WRONG,
        )
    claimed = fields.get("client_id", "")
    if authorization is not None:
        name, secret = _basic(authorization)
        _require_same(claimed, name)
        return name, Secret(secret), None
    if shown:
        return claimed, Secret(shown), None
    if fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise _refused("client_assertion_type", f"client_assertion_type must be {ASSERTION_TYPE}")
    raw = RawToken(signed.encode())
    try:
        name = claimed_client(raw)
    except TokenRefused as error:
        raise _refused("client_assertion", error.detail, error.reason) from None
    _require_same(claimed, name)
    return name, None, raw


def _require_same(claimed: str, proven: str) -> None:
    if claimed not in {"", proven}:
        raise _refused(
            "client_id", "client_id is another than the one that is proven", Reason.CLIENT_UNKNOWN
        )


def _basic(authorization: bytes) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic" or len(encoded) > MAX_BASIC_BYTES:
        raise _no_basic()
    try:
        text = b64decode(encoded, validate=True).decode("ascii")
        name, _, secret = (unquote_plus(part, errors="strict") for part in text.partition(":"))
    except ValueError:
        raise _no_basic() from None
    if not (name and secret):
        raise _no_basic()
    return name, secret


def _no_basic() -> WireError:
    return _refused(
        "authorization",
        "Authorization is no HTTP Basic credential of a client",
        Reason.CLIENT_SECRET_WRONG,
    )


def _refused(name: str, description: str, reason: Reason = Reason.REQUEST_MALFORMED) -> WireError:
    return WireError(description, code="invalid_request", field=name, reason=reason)
