"""The token endpoint, asked: a session mandate, a mandate for a call, a user's proof (RFC 8693)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec

from caracal.authority.identifiers import DelegationId, RecordId, SessionId, is_id
from caracal.authority.mandates import Holder
from caracal.authority.scopes import LIFECYCLE, ScopeSet
from caracal.tokens import base64url
from caracal.tokens.holders import render_holder
from caracal.tokens.secret import Secret
from caracal.wire.calls.messages import Request, read
from caracal.wire.calls.refusals import Answer, UnexpectedAnswer
from caracal.wire.forms import GRANT_TYPE, MEDIA_TYPE, SubjectTokenType

_FORM: Final = (("content-type", MEDIA_TYPE.decode()),)
_SEGMENTS: Final = 3
SESSION_MANDATE: Final = "get a session mandate"
MANDATE: Final = "get a mandate"
SIGN_IN: Final = "sign a user in"


@dataclass(frozen=True, slots=True)
class Application:
    """Who asks, and where."""

    sts_url: str
    zone_id: str
    application_id: str
    client_secret: Secret


@dataclass(frozen=True, slots=True)
class Acting:
    """What a mandate is minted for: a session, and the delegation it received."""

    session_id: SessionId
    delegation_id: DelegationId


@dataclass(frozen=True, slots=True)
class Mandate:
    """A mandate for one call, or a session mandate; `token.reveal()` is what is sent.

    Attributes:
        lifetime: from when it was issued.
        receipt: the reference of the entry that records it; see `receipt()`.
    """

    token: Secret
    lifetime: timedelta
    scopes: ScopeSet
    receipt: str


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Proof of a user, for as long as `lifetime`: it starts sessions that work for that user."""

    record_id: RecordId
    token: Secret
    lifetime: timedelta


class _TokenMembers(msgspec.Struct):
    access_token: Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[\x21-\x7e]{1,16384}\Z")]
    expires_in: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    token_type: str = "Bearer"  # noqa: S105 (a type's name)
    scope: str = ""
    caracal_receipt: str = ""


class _Claims(msgspec.Struct):
    sid: str


def session_mandate_request(who: Application, resources: Iterable[str]) -> Request:
    """Ask for what starts, steers and ends sessions; it reaches no resource, but one is to be named."""
    return _form(who, SESSION_MANDATE, [("scope", LIFECYCLE), *_resources(resources)])


def mandate_request(
    who: Application,
    acting: Acting,
    resource: str,
    scopes: ScopeSet,
    *,
    lifetime: timedelta | None = None,
    approval_id: str | None = None,
    holder: Holder | None = None,
) -> Request:
    """Ask for a mandate that is good for one call to `resource`, or bound to a holder who narrows it."""
    fields = [
        ("resource", resource),
        ("scope", scopes.render()),
        ("agent_session_id", acting.session_id),
        ("delegation_edge_id", acting.delegation_id),
        *_lifetime(lifetime),
    ]
    if approval_id is not None:
        fields.append(("approval_id", approval_id))
    if holder is not None:
        fields.append(("holder_jwk", render_holder(holder).decode()))
    return _form(who, MANDATE, fields)


def sign_in_request(
    who: Application, id_token: Secret, *, lifetime: timedelta | None = None
) -> Request:
    """Trade an ID token, which is accepted once, for the proof of its user."""
    subject = [
        ("subject_token", id_token.reveal()),
        ("subject_token_type", SubjectTokenType.ID_TOKEN.value),
    ]
    return _form(who, SIGN_IN, [*subject, *_lifetime(lifetime)])


def read_mandate(answer: Answer, what: str = MANDATE) -> Mandate:
    """Read the answer to a token request.

    Raises:
        CaracalError: it is a refusal, or no token answer.
    """
    members = read(answer, what, _TokenMembers)
    if members.token_type.lower() != "bearer":
        raise UnexpectedAnswer.to(what, answer, "the token is not a bearer token")
    try:
        scopes = ScopeSet.parse(members.scope)
    except ValueError as error:
        raise UnexpectedAnswer.to(what, answer, f"scope: {error}") from None
    lifetime = timedelta(seconds=members.expires_in)
    return Mandate(Secret(members.access_token), lifetime, scopes, members.caracal_receipt)


def read_user(answer: Answer) -> SignedInUser:
    """Read the answer to a sign-in; the record is read from the mandate, whose signature is not checked.

    Nothing rests on it: the Coordinator verifies the mandate and that the record is its own.

    Raises:
        CaracalError: it is a refusal, or no token answer.
    """
    mandate = read_mandate(answer, SIGN_IN)
    record = _record(mandate.token.reveal())
    if record is None:
        raise UnexpectedAnswer.to(SIGN_IN, answer, "the token names no authority record")
    return SignedInUser(record, mandate.token, mandate.lifetime)


def _record(token: str) -> RecordId | None:
    segments = token.split(".")
    if len(segments) != _SEGMENTS:
        return None
    try:
        claims = msgspec.json.decode(base64url.decode(segments[1].encode()), type=_Claims)
    except (ValueError, RecursionError):
        return None
    return RecordId(claims.sid) if is_id(claims.sid) else None


def _form(who: Application, what: str, fields: list[tuple[str, str]]) -> Request:
    stated = [
        ("grant_type", GRANT_TYPE),
        ("zone_id", who.zone_id),
        ("application_id", who.application_id),
        ("client_secret", who.client_secret.reveal()),
        *fields,
    ]
    url = f"{who.sts_url}/oauth/2/token"
    return Request(what, "POST", url, _FORM, urlencode(stated).encode())


def _resources(resources: Iterable[str]) -> list[tuple[str, str]]:
    return [("resource", resource) for resource in sorted(set(resources))]


def _lifetime(lifetime: timedelta | None) -> list[tuple[str, str]]:
    return [] if lifetime is None else [("ttl_seconds", str(int(lifetime.total_seconds())))]
