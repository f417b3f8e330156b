"""Sessions, delegations, revocations and receipts as rows, and back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from caracal.authority.constraints import Constraints
from caracal.authority.delegation import Delegation, DelegationStatus
from caracal.authority.grants import Grant
from caracal.authority.identifiers import ApplicationId, DelegationId, RecordId, SessionId, ZoneId
from caracal.authority.mandates import Hop
from caracal.authority.resources import ResourceUri
from caracal.authority.revocation import AnchorKind, Revocation
from caracal.authority.scopes import ScopeSet
from caracal.authority.sessions import Lifecycle, Session, Status
from caracal.authority.subjects import User
from caracal_server.adapters.sql.instants import (
    duration_from_us,
    duration_to_us,
    from_us,
    optional_from_us,
    optional_to_us,
    to_us,
)
from caracal_server.adapters.sql.statements import Row
from caracal_server.ports.graph import IdempotencyReceipt

_encode = msgspec.json.Encoder().encode
_decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode


class _StoredHop(NamedTuple):
    application_id: str
    session_id: str | None
    delegation_id: str | None


_decode_chain = msgspec.json.Decoder(tuple[_StoredHop, ...]).decode


def label_marks(label: str) -> tuple[str, str]:
    """What `labels_text` holds when a label is the first or a later one, and never otherwise.

    Inside a label's text there is no bare quote and no bare line break, so neither mark can be there.
    """
    text = _encode(label).decode()
    return "[" + text, "\n" + text


def labels_text(labels: tuple[str, ...]) -> str:
    """JSON with a bare line break between two labels."""
    return "[" + ",\n".join(_encode(label).decode() for label in labels) + "]"


def session_row(session: Session) -> Row:
    return (
        session.id,
        session.zone_id,
        session.application_id,
        session.parent_id,
        " ".join(session.path),
        session.record,
        session.lifecycle.value,
        labels_text(session.labels),
        session.status.value,
        to_us(session.started_at),
        duration_to_us(session.ttl),
        optional_to_us(session.lease_expires_at),
        session.lease_generation,
        optional_to_us(session.last_heartbeat_at),
        session.metadata,
        optional_to_us(session.ended_at),
        session.end_reason,
        session.version,
        session.health,
        *_user_columns(session.user),
    )


def _user_columns(user: User | None) -> tuple[str | None, str | None]:
    return (None, None) if user is None else (user.issuer, user.name)


def read_session(row: Any) -> Session:
    return Session(
        id=SessionId(row.id),
        zone_id=ZoneId(row.zone_id),
        application_id=ApplicationId(row.application_id),
        path=tuple(SessionId(part) for part in row.path.split(" ")),
        record=RecordId(row.record),
        lifecycle=Lifecycle(row.lifecycle),
        labels=_decode_texts(row.labels),
        status=Status(row.status),
        started_at=from_us(row.started_at),
        ttl=duration_from_us(row.ttl),
        lease_expires_at=optional_from_us(row.lease_expires_at),
        lease_generation=row.lease_generation,
        last_heartbeat_at=optional_from_us(row.last_heartbeat_at),
        metadata=row.metadata,
        ended_at=optional_from_us(row.ended_at),
        end_reason=row.end_reason,
        version=row.version,
        health=row.health,
        user=None if row.user_issuer is None else User(row.user_issuer, row.user_name),
    )


def delegation_row(delegation: Delegation) -> Row:
    limits = delegation.grant.constraints
    chain = [(hop.application_id, hop.session_id, hop.delegation_id) for hop in delegation.chain]
    resources = None if limits.resources is None else sorted(limits.resources)
    return (
        delegation.id,
        delegation.zone_id,
        delegation.source,
        delegation.target,
        delegation.issuer,
        delegation.receiver,
        " ".join(delegation.path),
        _encode(chain).decode(),
        delegation.grant.scopes.render(),
        None if resources is None else " ".join(resources),
        limits.hops,
        duration_to_us(limits.max_ttl),
        limits.budget,
        limits.reason,
        to_us(delegation.grant.expires_at),
        delegation.status.value,
        to_us(delegation.created_at),
        optional_to_us(delegation.revoked_at),
        delegation.version,
    )


def read_delegation(row: Any) -> Delegation:
    # No resources is none at all; only a missing list means any.
    resources = (
        None if row.resources is None else frozenset(map(ResourceUri, row.resources.split()))
    )
    constraints = Constraints(
        resources, row.hops, duration_from_us(row.max_ttl), row.budget, row.reason
    )
    return Delegation(
        id=DelegationId(row.id),
        zone_id=ZoneId(row.zone_id),
        source=SessionId(row.source),
        target=SessionId(row.target),
        issuer=ApplicationId(row.issuer),
        receiver=ApplicationId(row.receiver),
        path=tuple(DelegationId(part) for part in row.path.split(" ")),
        chain=tuple(_read_hop(hop) for hop in _decode_chain(row.chain)),
        grant=Grant(ScopeSet.parse(row.scopes), constraints, from_us(row.expires_at)),
        status=DelegationStatus(row.status),
        created_at=from_us(row.created_at),
        revoked_at=optional_from_us(row.revoked_at),
        version=row.version,
    )


def _read_hop(hop: _StoredHop) -> Hop:
    return Hop(
        ApplicationId(hop.application_id),
        None if hop.session_id is None else SessionId(hop.session_id),
        None if hop.delegation_id is None else DelegationId(hop.delegation_id),
    )


def revocation_row(zone_id: ZoneId, revocation: Revocation) -> Row:
    return (
        zone_id,
        revocation.kind.value,
        revocation.anchor,
        to_us(revocation.at),
        revocation.reason,
    )


def read_revocation(row: Any) -> Revocation:
    return Revocation(AnchorKind(row.kind), row.anchor, from_us(row.at), row.reason)


def receipt_row(receipt: IdempotencyReceipt) -> Row:
    return (
        receipt.zone_id,
        receipt.scope,
        receipt.operation,
        receipt.key_digest,
        receipt.request_digest,
        receipt.status,
        receipt.body,
        receipt.result_id,
        to_us(receipt.expires_at),
    )


def read_receipt(row: Sequence[Any]) -> IdempotencyReceipt:
    """Read a whole row, in the order of `receipt_row`."""
    zone_id, scope, operation, key_digest, request_digest, status, body, result_id, expires_at = row
    return IdempotencyReceipt(
        zone_id=ZoneId(zone_id),
        operation=operation,
        scope=scope,
        key_digest=key_digest,
        request_digest=request_digest,
        status=status,
        body=body,
        result_id=result_id,
        expires_at=from_us(expires_at),
    )
