"""The decision: bytes, keys, what is asked and an instant in; a principal or a refusal out."""

from datetime import datetime
from typing import Final

from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.links import is_chain, split_chain
from caracal.tokens.mandates import unverified_routing, verify_chain, verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal.verify.principal import Principal
from caracal.verify.refusals import Code, NotVerified
from caracal.verify.requirements import Expected, Requirements
from caracal.verify.revocations import Revocations, Standing

_CODES: Final = {Reason.MANDATE_ZONE: Code.INVALID_ZONE}


def key_needed(raw: RawToken, expected: Expected, requirements: Requirements) -> str:
    """The id of the key that would verify `raw`. Proves nothing.

    Raises:
        NotVerified: it is no mandate, is a chain where none counts, or says itself that it is of
            another zone.
    """
    chained = _chained(raw, requirements)
    try:
        routing = unverified_routing(split_chain(raw)[0] if chained else raw)
    except TokenRefused as refused:
        raise _not_verified(refused) from None
    if routing.zone_id != expected.zone_id:
        raise NotVerified(Code.INVALID_ZONE, reason=Reason.MANDATE_ZONE)
    return routing.kid


def decide(
    raw: RawToken,
    *,
    keys: KeySet,
    expected: Expected,
    requirements: Requirements,
    revocations: Revocations,
    now: datetime,
) -> Principal:
    """Who `raw` proves the caller to be, if it fulfils everything.

    Raises:
        NotVerified: for the first check that failed, in this order: the token itself (size, shape,
            algorithm, key, signature, claims, issuer, zone, use, audience, time, links), targets,
            session, delegation, chain, hops, scopes, revocation.
    """
    prove, uses = verify_mandate, requirements.uses
    if _chained(raw, requirements):
        prove, uses = verify_chain, uses - {MandateClass.SESSION}
    try:
        mandate = prove(
            raw,
            keys=keys,
            issuer=expected.issuer,
            zone_id=expected.zone_id,
            mandate_classes=uses,
            audience=expected.audience,
            now=now,
        ).mandate
    except TokenRefused as refused:
        raise _not_verified(refused) from None
    # An issuer's clock may be ahead by a minute; what has expired is given less.
    if now - requirements.leeway >= mandate.expires_at:
        raise NotVerified(
            Code.INVALID_TOKEN,
            f"it expired at {mandate.expires_at.isoformat()}",
            reason=Reason.MANDATE_EXPIRED,
        )
    _check(mandate, requirements)
    _check_revocations(mandate, revocations, now)
    return Principal(mandate)


def _chained(raw: RawToken, requirements: Requirements) -> bool:
    """Whether it is a chain.

    Raises:
        NotVerified: it is one, and none counts here.
    """
    chained = is_chain(raw)
    if chained and not requirements.narrowed:
        raise NotVerified(
            Code.INVALID_TOKEN,
            "narrowed mandates are not accepted here",
            reason=Reason.NARROWING_NOT_ACCEPTED,
        )
    return chained


def _check(mandate: Mandate, asked: Requirements) -> None:
    if not asked.targets <= set(mandate.resources):
        raise NotVerified(Code.INVALID_TOKEN, "the mandate does not name a target that is needed")
    if asked.require_session and mandate.session_id is None:
        raise NotVerified(Code.SESSION_REQUIRED)
    if asked.require_delegation and mandate.delegation_id is None:
        raise NotVerified(Code.DELEGATION_REQUIRED)
    if not asked.chain_contains <= {hop.application_id for hop in mandate.chain}:
        raise NotVerified(Code.CHAIN_MISMATCH)
    if mandate.hops > asked.max_hops:
        raise NotVerified(
            Code.HOP_COUNT_EXCEEDED,
            f"handed on {mandate.hops} times; here at most {asked.max_hops} are accepted",
        )
    missing = asked.scopes.without(mandate.scopes)
    if missing:
        raise NotVerified(Code.INSUFFICIENT_SCOPE, f"the mandate lacks {missing.render()}")


def _check_revocations(mandate: Mandate, revocations: Revocations, now: datetime) -> None:
    try:
        standing = revocations.standing(mandate, now)
    except Exception:  # noqa: BLE001 (whatever a view fails of, the answer is no)
        standing = Standing.UNKNOWN
    match standing:
        case Standing.LIVE:
            return
        case Standing.REVOKED:
            raise NotVerified(Code.SESSION_REVOKED)
        case Standing.STALE:
            raise NotVerified(Code.DELEGATION_STALE)
        case _:
            raise NotVerified(Code.REVOCATIONS_UNAVAILABLE, retry_after=1)


def _not_verified(refused: TokenRefused) -> NotVerified:
    code = _CODES.get(refused.reason, Code.INVALID_TOKEN)
    return NotVerified(code, refused.detail, reason=refused.reason)
