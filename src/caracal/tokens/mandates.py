"""Mandates on the wire: minted from a value, and proven back into one, alone or at the end of a chain."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn, final

import msgspec

from caracal.authority.identifiers import ZoneId, parse_id
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.narrowing import narrowed
from caracal.authority.outcomes import Reason, Refused
from caracal.tokens import jws
from caracal.tokens.claims import Claims, claims_of, inconsistency, mandate_of
from caracal.tokens.holders import thumbprint
from caracal.tokens.keys import KeySet, SigningKey
from caracal.tokens.links import split_chain, verify_link
from caracal.tokens.refusal import TokenRefused

LEEWAY = timedelta(seconds=60)
"""How far the clocks of the issuer and of a verifier may differ."""

_ENCODER = msgspec.json.Encoder()
_CLAIMS = msgspec.json.Decoder(Claims)
_PROVEN = object()


class _Routing(msgspec.Struct):
    zone_id: str
    use: str = ""


_ROUTING = msgspec.json.Decoder(_Routing)


@final
class VerifiedMandate:
    """A mandate whose signatures and claims were verified. Only this module's readers make one."""

    __slots__ = ("_mandate",)

    def __init__(self, mandate: Mandate, proof: object) -> None:
        if proof is not _PROVEN:
            raise TypeError("only verify_mandate and verify_chain make a VerifiedMandate")
        self._mandate = mandate

    @property
    def mandate(self) -> Mandate:
        return self._mandate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifiedMandate) and self._mandate == other._mandate

    def __hash__(self) -> int:
        return hash(self._mandate)

    def __repr__(self) -> str:
        return f"VerifiedMandate({self._mandate!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a proof is made by verifying, not by copying")


@dataclass(frozen=True, slots=True)
class UnverifiedRouting:
    """What a token claims about which keys would verify it. Good for finding keys, nothing else."""

    zone_id: ZoneId
    kid: str
    use: str = ""


def mint(mandate: Mandate, key: SigningKey) -> str:
    """Sign `mandate`.

    Raises:
        TokenRefused: with MANDATE_TOO_LARGE when it would be longer than verifiers read.
        ValueError: when its ancestry contradicts itself; see `claims.inconsistency`.
    """
    fault = inconsistency(mandate)
    if fault is not None:
        raise ValueError(f"the mandate is inconsistent: {fault}")
    token = jws.sign(_ENCODER.encode(claims_of(mandate)), key)
    if len(token) > jws.MAX_TOKEN_BYTES:
        raise TokenRefused(
            Reason.MANDATE_TOO_LARGE,
            f"the mandate would have {len(token)} bytes, at most {jws.MAX_TOKEN_BYTES} are accepted:"
            " name fewer resources",
        )
    return token.decode()


def unverified_routing(raw: jws.RawToken) -> UnverifiedRouting:
    """Which zone and key a token says it belongs to. Proves nothing.

    Raises:
        TokenRefused: with MANDATE_TOO_LARGE, MANDATE_MALFORMED or MANDATE_SIGNATURE.
    """
    header, payload, _ = jws.split(raw)
    kid = jws.read_header(header).kid
    try:
        claimed = _ROUTING.decode(jws.decode_segment(payload, "payload"))
        return UnverifiedRouting(parse_id(ZoneId, claimed.zone_id), kid, claimed.use)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"payload: {error}"[:120]) from None


def verify_mandate(
    raw: jws.RawToken,
    *,
    keys: KeySet,
    issuer: str,
    zone_id: ZoneId,
    mandate_classes: Collection[MandateClass],
    audience: str,
    now: datetime,
    leeway: timedelta = LEEWAY,
) -> VerifiedMandate:
    """Prove that `raw` is a mandate of `zone_id` for `audience`, valid at `now`.

    Whether it was revoked or already used is the caller's next question.

    Raises:
        TokenRefused: with the reason of the first check that failed, in the order of the checks: size,
            shape, algorithm, key, signature, claims, issuer, zone, class, audience, time, and that it
            is not bound to a holder.
    """
    mandate = _proven(
        jws.verify(raw, keys), issuer, zone_id, mandate_classes, audience, now=now, leeway=leeway
    )
    if mandate.bound is not None:
        raise _unfinished("it is bound to a key")
    return VerifiedMandate(mandate, _PROVEN)


def verify_chain(
    raw: jws.RawToken,
    *,
    keys: KeySet,
    issuer: str,
    zone_id: ZoneId,
    mandate_classes: Collection[MandateClass],
    audience: str,
    now: datetime,
    leeway: timedelta = LEEWAY,
) -> VerifiedMandate:
    """Prove that `raw` is a mandate and links that narrow it, closed, and what is left of it at `now`.

    Raises:
        TokenRefused: as `verify_mandate` for the mandate, then for each link in turn: shape, algorithm,
            signature, claims, that it follows the one before, its date, that it narrows; last, that what
            is left has not expired and that the chain is closed.
    """
    root, links = split_chain(raw)
    mandate = _proven(
        jws.verify(root, keys), issuer, zone_id, mandate_classes, audience, now=now, leeway=leeway
    )
    before: bytes = root
    minted = mandate.id
    for number, token in enumerate(links, 1):
        try:
            mandate = _followed(mandate, before, token, latest=now + leeway)
        except TokenRefused as error:
            detail = f"link {number} after mandate {minted}: {error.detail}"
            raise TokenRefused(error.reason, detail) from None
        before = token
    _check_time(mandate, now, leeway)
    if mandate.bound is not None:
        raise _unfinished("its last part is bound to a key")
    return VerifiedMandate(mandate, _PROVEN)


def _followed(mandate: Mandate, before: bytes, token: bytes, *, latest: datetime) -> Mandate:
    if mandate.bound is None:
        raise TokenRefused(Reason.NARROWING_BROKEN, "nothing follows what names no holder")
    holder = mandate.bound.holder
    link = verify_link(token, before, holder)
    if link.issued_at > latest:
        raise TokenRefused(Reason.MANDATE_NOT_YET_VALID, "it is issued in the future")
    outcome = narrowed(mandate, thumbprint(holder), link)
    if isinstance(outcome, Refused):
        raise TokenRefused(outcome.reason, outcome.detail)
    return outcome


def _unfinished(why: str) -> TokenRefused:
    return TokenRefused(
        Reason.NARROWING_UNFINISHED, f"{why}: a link that closes the chain must follow"
    )


def _proven(
    payload: bytes,
    issuer: str,
    zone_id: ZoneId,
    mandate_classes: Collection[MandateClass],
    audience: str,
    *,
    now: datetime,
    leeway: timedelta,
) -> Mandate:
    mandate = _read_claims(payload)
    if mandate.issuer != issuer:
        raise TokenRefused(Reason.MANDATE_ISSUER, f"it was not issued by {issuer}")
    if mandate.zone_id != zone_id:
        raise TokenRefused(Reason.MANDATE_ZONE, f"it does not belong to the zone {zone_id}")
    if mandate.mandate_class not in mandate_classes:
        wanted = " or ".join(sorted(mandate_classes))
        raise TokenRefused(
            Reason.MANDATE_CLASS, f"a {wanted} mandate is needed, not a {mandate.mandate_class} one"
        )
    if audience not in mandate.audience:
        raise TokenRefused(Reason.MANDATE_AUDIENCE, f"it is not meant for {audience}")
    _check_time(mandate, now, leeway)
    return mandate


def _check_time(mandate: Mandate, now: datetime, leeway: timedelta) -> None:
    if mandate.issued_at > now + leeway:
        raise TokenRefused(Reason.MANDATE_NOT_YET_VALID, "it is issued in the future")
    if now - leeway >= mandate.expires_at:
        raise TokenRefused(
            Reason.MANDATE_EXPIRED,
            f"it expired at {mandate.expires_at.isoformat()}; ask for a new one",
        )


def _read_claims(payload: bytes) -> Mandate:
    try:
        claims = _CLAIMS.decode(payload)
        mandate = mandate_of(claims)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"claims: {error}"[:120]) from None
    fault = inconsistency(mandate)
    if fault is not None:
        raise TokenRefused(Reason.MANDATE_MALFORMED, fault)
    expected = claims_of(mandate)
    # Our own mint writes exactly these bytes, so nothing is stated twice or left over.
    if _ENCODER.encode(expected) != payload:
        jws.refuse_repeated_members(payload)
        claims.aud = expected.aud
        claims.scope = expected.scope
        if claims != expected:
            raise TokenRefused(Reason.MANDATE_MALFORMED, "its claims contradict each other")
    return mandate
