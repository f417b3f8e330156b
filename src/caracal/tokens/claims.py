"""The claims of a mandate: how each is written and read. `docs/wire.md` lists them.

No claim is ignored. A claim that is not named here is refused: only our own STS mints mandates, and a
verifier that skipped a claim it does not know could miss a limit. So a new claim is first read by
every verifier and only then written by the STS.
"""

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    MandateId,
    RecordId,
    SessionId,
    SubjectId,
    ZoneId,
    is_id,
)
from caracal.authority.mandates import Hop, Mandate, MandateClass, Origin, SubjectType
from caracal.authority.resources import parse_resource_uri
from caracal.authority.scopes import NO_SCOPES, ScopeSet
from caracal.authority.subjects import MAX_NAME_BYTES, name_fault
from caracal.tokens.holders import Confirmation, bound_of, confirmation_of

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the end of what a datetime can say

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:\-]{1,128}\Z")]
Text = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,512}\Z")]
Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_BYTES)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=_LAST_SECOND)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ActorClaim(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """RFC 8693 section 4.1: who acts, and inside `act` on whose hand-over."""

    sub: Id
    act: "ActorClaim | msgspec.UnsetType" = msgspec.UNSET


class HopClaim(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    application_id: Id
    agent_session_id: Id = ""
    delegation_edge_id: Id = ""


class OriginClaim(msgspec.Struct, forbid_unknown_fields=True):
    """What a mandate was narrowed from, and the thumbprint of the key that narrowed it (RFC 7638)."""

    id: Id
    jkt: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_\-]{43}\Z")]


class Claims(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Required claims have no default; a claim at its default is left out, never written empty."""

    iss: Text
    sub: Subject
    aud: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)] | Text
    exp: Seconds
    iat: Seconds
    jti: Id
    zone_id: Id
    client_id: Id
    scope: Annotated[str, msgspec.Meta(min_length=1)] = ""
    sid: Id
    root_sid: Id
    use: MandateClass
    sub_type: SubjectType
    sub_iss: Text = ""
    target: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)] = ()
    agent_session_id: Id = ""
    session_ancestors: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1)] = ()
    delegation_edge_id: Id = ""
    source_session_id: Id = ""
    target_session_id: Id = ""
    delegation_path: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1)] = ()
    delegation_chain: Annotated[tuple[HopClaim, ...], msgspec.Meta(min_length=1)] = ()
    hop_count: Count = 0
    delegation_graph_epoch: Count = 0
    act: ActorClaim | msgspec.UnsetType = msgspec.UNSET
    cnf: Confirmation | msgspec.UnsetType = msgspec.UNSET
    hand_ons: Count = 0
    narrowed_from: Annotated[tuple[OriginClaim, ...], msgspec.Meta(min_length=1)] = ()


def claims_of(mandate: Mandate) -> Claims:
    """Write a mandate's claims; parts of a second are dropped, so none lives longer for it."""
    chain = mandate.chain
    return Claims(
        iss=mandate.issuer,
        sub=mandate.subject,
        aud=mandate.audience,
        exp=int(mandate.expires_at.timestamp()),
        iat=int(mandate.issued_at.timestamp()),
        jti=mandate.id,
        zone_id=mandate.zone_id,
        client_id=mandate.application_id,
        scope=mandate.scopes.render(),
        sid=mandate.record,
        root_sid=mandate.root_record,
        use=mandate.mandate_class,
        sub_type=mandate.subject_type,
        sub_iss=mandate.subject_issuer,
        target=mandate.resources,
        agent_session_id=mandate.session_id or "",
        session_ancestors=mandate.session_path[:-1],
        delegation_edge_id=mandate.delegation_id or "",
        source_session_id=(chain[-2].session_id or "") if chain else "",
        target_session_id=(chain[-1].session_id or "") if chain else "",
        delegation_path=mandate.delegation_path,
        delegation_chain=tuple(
            HopClaim(hop.application_id, hop.session_id or "", hop.delegation_id or "")
            for hop in chain
        ),
        hop_count=mandate.hop_count,
        delegation_graph_epoch=mandate.graph_epoch,
        act=_actors(mandate),
        cnf=confirmation_of(mandate.bound),
        hand_ons=0 if mandate.bound is None else mandate.bound.hand_ons,
        narrowed_from=(
            tuple(OriginClaim(one.id, one.thumbprint) for one in mandate.origins)
            if mandate.origins
            else ()
        ),
    )


def mandate_of(claims: Claims) -> Mandate:
    """Read a mandate from claims whose types were checked.

    Raises:
        ValueError: when a scope or resource is not well formed.
    """
    session = (SessionId(claims.agent_session_id),) if claims.agent_session_id else ()
    return Mandate(
        id=MandateId(claims.jti),
        zone_id=ZoneId(claims.zone_id),
        mandate_class=claims.use,
        issuer=claims.iss,
        subject=SubjectId(claims.sub),
        subject_type=claims.sub_type,
        application_id=ApplicationId(claims.client_id),
        audience=(claims.aud,) if isinstance(claims.aud, str) else claims.aud,
        scopes=ScopeSet.parse(claims.scope) if claims.scope else NO_SCOPES,
        resources=tuple(parse_resource_uri(text) for text in claims.target),
        record=RecordId(claims.sid),
        root_record=RecordId(claims.root_sid),
        issued_at=datetime.fromtimestamp(claims.iat, UTC),
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        session_path=(*(SessionId(text) for text in claims.session_ancestors), *session),
        delegation_path=tuple(DelegationId(text) for text in claims.delegation_path),
        chain=tuple(_hop(hop) for hop in claims.delegation_chain),
        graph_epoch=claims.delegation_graph_epoch,
        subject_issuer=claims.sub_iss,
        bound=bound_of(claims.cnf, claims.hand_ons),
        origins=tuple(Origin(MandateId(one.id), one.jkt) for one in claims.narrowed_from),
    )


def inconsistency(mandate: Mandate) -> str | None:
    """What contradicts itself in a mandate's ancestry, or `None`.

    The same rules hold when minting and when verifying: a chain has one hop for each delegation, in
    order, and ends with the application and session that hold the mandate.
    """
    path, chain = mandate.delegation_path, mandate.chain
    fault = _subject_fault(mandate)
    if fault is not None:
        return fault
    if mandate.origins and mandate.mandate_class is not MandateClass.RESOURCE:
        return "only a resource mandate says what it was narrowed from"
    if mandate.expires_at <= mandate.issued_at:
        return "it expires before it is issued"
    if not path:
        return "a chain without a delegation" if chain else None
    if len(chain) != len(path) + 1:
        return "the chain does not have one hop for each delegation and one for the receiver"
    if tuple(hop.delegation_id for hop in chain) != (*path, None):
        return "the chain and the delegation path name different delegations"
    if mandate.session_id is None or chain[-1].session_id != mandate.session_id:
        return "the chain does not end in the session of the mandate"
    if chain[-1].application_id != mandate.application_id:
        return "the chain does not end at the application of the mandate"
    return None


def _subject_fault(mandate: Mandate) -> str | None:
    if mandate.subject_type is SubjectType.APPLICATION:
        if mandate.subject_issuer:
            return "nobody vouches for an application"
        return None if is_id(mandate.subject) else "its subject is not an identifier"
    if not mandate.subject_issuer:
        return "its subject is a user, and nobody vouches for them"
    return name_fault(mandate.subject)


def _hop(claim: HopClaim) -> Hop:
    return Hop(
        ApplicationId(claim.application_id),
        SessionId(claim.agent_session_id) if claim.agent_session_id else None,
        DelegationId(claim.delegation_edge_id) if claim.delegation_edge_id else None,
    )


def _actors(mandate: Mandate) -> ActorClaim | msgspec.UnsetType:
    """Nested actors, the present one outermost; one that hands on to itself is named once."""
    actor: ActorClaim | msgspec.UnsetType = msgspec.UNSET
    if mandate.subject_issuer and not mandate.chain:
        return ActorClaim(mandate.application_id)
    for hop in mandate.chain:
        if actor is msgspec.UNSET or actor.sub != hop.application_id:
            actor = ActorClaim(hop.application_id, actor)
    return actor
