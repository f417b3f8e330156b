"""The token request: a form post (RFC 8693 section 2.1 with the field names of `docs/wire.md`)."""

import re
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

from caracal.authority.constraints import MAX_RESOURCES
from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    Id,
    InvalidIdentifier,
    RecordId,
    SessionId,
    ZoneId,
    parse_id,
)
from caracal.authority.mandates import Holder
from caracal.authority.outcomes import Reason
from caracal.authority.scopes import NO_SCOPES, InvalidScope, ScopeSet
from caracal.tokens.holders import parse_holder
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import InvalidKey
from caracal.tokens.secret import Secret
from caracal.wire.errors import Fault, WireError

MEDIA_TYPE = b"application/x-www-form-urlencoded"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
MAX_FORM_BYTES = 65_536
MAX_FIELDS = 200
MAX_SECONDS_DIGITS = 9

OWN_ZONE = ZoneId("")
"""The zone of the application, which only control keys may leave out."""

# Fields that say the same in request after request, and never a secret.
_REPEATING = frozenset({"grant_type", "resource", "scope"})
_UNSUPPORTED = ("actor_token", "client_assertion", "client_assertion_type")
_NOT_OF_CONTROL_KEYS = (
    "subject_token",
    "session_id",
    "agent_session_id",
    "delegation_edge_id",
)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_RESOURCE = re.compile(r"[\x21-\x7e]{1,512}")
_SECONDS = re.compile(rf"[0-9]{{1,{MAX_SECONDS_DIGITS}}}")


class SubjectTokenType(StrEnum):
    """RFC 8693 section 3."""

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (a type's name)
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 (a type's name)


class TokenRequest(msgspec.Struct, frozen=True):
    """A well-formed token request; nothing in it is proven. Fields are named as on the wire.

    Attributes:
        zone_id: `OWN_ZONE` when it was left out.
        resources: identifiers or resource ids, each once, in ascending order; may be empty.
        session_id: an authority record, in spite of its name.
        agent_session_id: the governed session.
        ttl: `None` for the default lifetime.
        holder: the key that the mandate is to be bound to.
    """

    zone_id: ZoneId
    application_id: ApplicationId
    client_secret: Secret | None
    resources: tuple[str, ...]
    scopes: ScopeSet
    subject_token: RawToken | None = None
    subject_token_type: SubjectTokenType | None = None
    session_id: RecordId | None = None
    agent_session_id: SessionId | None = None
    delegation_edge_id: DelegationId | None = None
    approval_id: str | None = None
    ttl: timedelta | None = None
    holder: Holder | None = None

    def __repr__(self) -> str:
        """Say whom it is from, and nothing that could be presented again."""
        return f"TokenRequest(zone_id={self.zone_id!r}, application_id={self.application_id!r})"


def parse_token_form(
    *, method: str, query: bytes, content_type: bytes | None, body: bytes
) -> TokenRequest:
    """Read a token request. A field that is empty counts as absent; unknown fields are ignored.

    Raises:
        WireError: for the first fault, in this order: method, query, media type, size, encoding,
            repeated fields, unsupported fields, lifetime, resources, grant type, subject token, the rest.
    """
    check_envelope(method=method, query=query, content_type=content_type)
    return parse_token_body(body)


def parse_token_body(body: bytes) -> TokenRequest:
    """Read the body of a request that `check_envelope` has let pass.

    Raises:
        WireError: for the first fault, in the order of `parse_token_form`.
    """
    if len(body) > MAX_FORM_BYTES:
        raise WireError(
            f"the body has {len(body)} bytes, at most {MAX_FORM_BYTES} are read",
            code="payload_too_large",
            reason=Reason.BODY_TOO_LARGE,
            fault=Fault.TOO_LARGE,
        )
    fields, resources = read_fields(body)
    for name in _UNSUPPORTED:
        if name in fields:
            raise _refused(
                name,
                f"{name} is not supported: leave it out and send client_secret",
                Reason.SUBJECT_TOKEN_UNSUPPORTED,
            )
    ttl = _ttl(fields.get("ttl_seconds", ""))
    named = _resources(tuple(resources))
    if fields.get("grant_type") != GRANT_TYPE:
        raise _refused("grant_type", f"grant_type must be {GRANT_TYPE}")
    subject_token, subject_token_type = _subject_token(fields)
    secret = fields.get("client_secret")
    return TokenRequest(
        zone_id=_zone_id(fields, named),
        application_id=_required(ApplicationId, "application_id", fields),
        client_secret=Secret(secret) if secret else None,
        resources=named,
        scopes=read_scopes(fields.get("scope", "")),
        subject_token=subject_token,
        subject_token_type=subject_token_type,
        session_id=_optional(RecordId, "session_id", fields),
        agent_session_id=_optional(SessionId, "agent_session_id", fields),
        delegation_edge_id=_optional(DelegationId, "delegation_edge_id", fields),
        approval_id=_optional(str, "approval_id", fields),
        ttl=ttl,
        holder=_holder(fields.get("holder_jwk", "")),
    )


def check_envelope(*, method: str, query: bytes, content_type: bytes | None) -> None:
    """Judge what can be told before any of the body is read.

    Raises:
        WireError: for the method, the query or the media type, in this order.
    """
    if method != "POST":
        raise WireError(
            "send the token request with POST",
            code="invalid_token",
            reason=Reason.METHOD_UNSUPPORTED,
            fault=Fault.METHOD,
        )
    if query:
        raise _refused("", "query parameters are not allowed: send every field in the body")
    media_type = (content_type or b"").partition(b";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise WireError(
            f"send Content-Type: {MEDIA_TYPE.decode()}",
            code="invalid_token",
            field="content-type",
            fault=Fault.MEDIA_TYPE,
        )


def read_fields(body: bytes) -> tuple[dict[str, str], list[str]]:
    """The fields of a form, each stated once, and what its `resource` fields say.

    Raises:
        WireError: it is not well encoded, has too many fields, or states one twice.
    """
    if _BAD_ESCAPE.search(body) is not None:
        raise _refused("", "the body has a % that two hexadecimal digits do not follow: write %25")
    if b"\x00" in body or b"%00" in body:
        raise _refused("", "the body has a NUL character: remove it")
    pairs = _utf8(body).split("&")
    if len(pairs) > MAX_FIELDS:
        raise _refused("", f"the body has {len(pairs)} fields, at most {MAX_FIELDS} are read")
    fields: dict[str, str] = {}
    resources: list[str] = []
    for pair in pairs:
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name = _unescape(name)
            value = _unescape_known(value) if name in _REPEATING else _unescape(value)
        if name == "resource":
            resources.append(value)
        elif name in fields:
            raise _refused(
                name[:60], f"the field {name[:60]} is stated more than once: state it once"
            )
        else:
            fields[name] = value
    return fields, resources


def _unescape(text: str) -> str:
    spaced = text.replace("+", " ")
    return _utf8(unquote_to_bytes(spaced)) if "%" in spaced else spaced


_unescape_known = lru_cache(maxsize=1024)(_unescape)


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _refused("", "the body is not UTF-8: encode the fields as UTF-8") from None


def _ttl(text: str) -> timedelta | None:
    if not text:
        return None
    if _SECONDS.fullmatch(text) is None:
        raise _refused(
            "ttl_seconds",
            f"ttl_seconds is a whole number of seconds, not negative, of at most"
            f" {MAX_SECONDS_DIGITS} digits",
        )
    return timedelta(seconds=int(text)) or None


@lru_cache(maxsize=256)  # agents ask for the same few, again and again
def _resources(values: tuple[str, ...]) -> tuple[str, ...]:
    named = sorted({value.strip() for value in values})
    if len(named) > MAX_RESOURCES:
        raise _refused(
            "resource", f"{len(named)} resources are named, at most {MAX_RESOURCES} in one request"
        )
    for value in named:
        if _RESOURCE.fullmatch(value) is None:
            raise _refused(
                "resource",
                "each resource is an identifier of 1 to 512 visible ASCII characters: "
                "leave out an empty one",
            )
    return tuple(named)


def _subject_token(fields: dict[str, str]) -> tuple[RawToken | None, SubjectTokenType | None]:
    token, kind = fields.get("subject_token", ""), fields.get("subject_token_type", "")
    if not token and not kind:
        return None, None
    if not token or not kind:
        missing = "subject_token_type" if token else "subject_token"
        raise _refused(missing, "send subject_token and subject_token_type together or neither")
    try:
        return RawToken(token.encode()), SubjectTokenType(kind)
    except ValueError:
        raise _refused(
            "subject_token_type",
            f"subject_token_type is one of {', '.join(SubjectTokenType)}",
            Reason.SUBJECT_TOKEN_UNSUPPORTED,
        ) from None


@lru_cache(maxsize=256)  # agents ask for the same few, again and again
def read_scopes(text: str) -> ScopeSet:
    """The scopes that a field names; none when it is empty.

    Raises:
        WireError: they are not well formed.
    """
    try:
        return ScopeSet.parse(text) if text else NO_SCOPES
    except InvalidScope as error:
        raise _refused("scope", f"scope: {error}") from None


def _holder(text: str) -> Holder | None:
    if not text:
        return None
    try:
        return parse_holder(text.encode())
    except InvalidKey as error:
        raise _refused("holder_jwk", f"holder_jwk: {error}") from None


def _zone_id(fields: dict[str, str], resources: tuple[str, ...]) -> ZoneId:
    """The zone; it may be left out of what control keys ask for, and is theirs then."""
    if fields.get("zone_id") or len(resources) != 1:
        return _required(ZoneId, "zone_id", fields)
    scopes = fields.get("scope", "").split()
    beyond = any(fields.get(name) for name in _NOT_OF_CONTROL_KEYS)
    if beyond or not scopes or not all(scope.startswith("control:") for scope in scopes):
        return _required(ZoneId, "zone_id", fields)
    return OWN_ZONE


def _required(kind: type[Id], name: str, fields: dict[str, str]) -> Id:
    value = _optional(kind, name, fields)
    if value is None:
        raise _refused(name, f"the field {name} is required")
    return value


def _optional(kind: type[Id], name: str, fields: dict[str, str]) -> Id | None:
    text = fields.get(name)
    if not text:
        return None
    try:
        return parse_id(kind, text)
    except InvalidIdentifier as error:
        raise _refused(name, f"{name}: {error}") from None


def _refused(name: str, description: str, reason: Reason = Reason.REQUEST_MALFORMED) -> WireError:
    return WireError(description, code="invalid_token", field=name, reason=reason)
