"""Entries of a zone's log, as stock admin clients read them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal_server.ports.evidence import StoredEntry

_TYPES: Final = {Kind.EXCHANGE: "token_exchange", Kind.CALL: "gateway_resource_request"}
_KINDS: Final = {name: kind for kind, name in _TYPES.items()}
_DECISIONS: Final = {Verdict.ALLOW: "allow", Verdict.REFUSE: "deny", Verdict.NONE: None}
ADMIN_KINDS: Final = frozenset(
    {
        Kind.ZONE_APPLY,
        Kind.POLICY_DOCUMENT,
        Kind.TOOL_ACCEPT,
        Kind.KEY_ROTATE,
        Kind.OPERATOR_TOKEN,
        Kind.ADMIN_REFUSED,
        Kind.SUBJECT_REVOKE,
        Kind.EVIDENCE_DROP,
        Kind.EVIDENCE_EXPORT,
        Kind.EVIDENCE_SHRED,
        Kind.EVIDENCE_REDACT,
    }
)
"""What operators do, which is no decision about an agent."""

_decode = msgspec.json.Decoder(Entry).decode


class Diagnostic(msgspec.Struct, frozen=True):
    reason: str
    detail: str


class AuditMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What else the entry says; `index` is its place in the log, where it is proven."""

    index: int
    application_id: str = ""
    application_name: str = ""
    resource: str = ""
    operation: str = ""
    requested_scopes: tuple[str, ...] = ()
    agent_session_id: str = ""
    agent_lifecycle: str = ""
    agent_labels: tuple[str, ...] = ()
    delegation_edge_id: str = ""
    delegation_hop_count: int = 0
    mandate_id: str = ""
    upstream_status: int = 0
    response_bytes: int = 0
    reason: str = ""
    error_kind: str = ""
    subject: str = ""
    federated_user_issuer: str = ""
    actor: str = ""
    target: str = ""


class AuditRow(msgspec.Struct, frozen=True):
    """There are no policy sets in an entry: `manifest_sha` is the digest of the policy that was asked."""

    id: str
    zone_id: str
    event_type: str
    request_id: str
    decision: str | None
    evaluation_status: str
    determining_policies_json: tuple[str, ...]
    diagnostics_json: tuple[Diagnostic, ...]
    metadata_json: AuditMetadata
    manifest_sha: str | None
    occurred_at: datetime
    ingested_at: datetime | None
    policy_set_id: str | None = None
    policy_set_version_id: str | None = None


class AdminAuditRow(msgspec.Struct, frozen=True):
    """`chain_seq` is the place in the log; every entry is signed for by its checkpoints."""

    id: str
    zone_id: str
    occurred_at: datetime
    action: str
    entity_type: str
    entity_id: str
    status_code: int
    actor_id: str
    actor_name: str
    request_id: str
    chain_seq: int
    detail: str
    change_kind: str
    signed: bool = True
    method: str | None = None
    path: str | None = None
    actor_scope: str | None = None
    changed_fields: tuple[str, ...] = ()


def kinds_of(types: Sequence[str]) -> frozenset[Kind] | str:
    """The kinds of entries behind types of events, or the first type that is none."""
    found = set()
    for name in types:
        try:
            found.add(_KINDS.get(name) or Kind(name))
        except ValueError:
            return name
    return frozenset(found)


def read_entry(stored: StoredEntry) -> Entry:
    return _decode(stored.data)


def audit_row(stored: StoredEntry, entry: Entry) -> AuditRow:
    refused = entry.verdict is Verdict.REFUSE
    return AuditRow(
        id=stored.leaf_hash.hex(),
        zone_id=entry.zone,
        event_type=_TYPES.get(entry.kind, entry.kind),
        request_id=entry.request,
        decision=_DECISIONS[entry.verdict],
        evaluation_status=entry.reason if refused and not entry.policies else "complete",
        determining_policies_json=entry.policies,
        diagnostics_json=(Diagnostic(entry.reason, entry.detail),) if refused else (),
        metadata_json=_metadata(stored.index, entry),
        manifest_sha=entry.policy or None,
        occurred_at=_instant(entry.at),
        ingested_at=_instant(entry.sequenced_at) if entry.sequenced_at else None,
    )


def admin_audit_row(stored: StoredEntry, entry: Entry) -> AdminAuditRow:
    name, _, identity = entry.actor.rpartition(" (")
    return AdminAuditRow(
        id=stored.leaf_hash.hex(),
        zone_id=entry.zone,
        occurred_at=_instant(entry.at),
        action=entry.kind,
        entity_type=entry.kind.partition(".")[0],
        entity_id=entry.target,
        status_code=403 if entry.verdict is Verdict.REFUSE else 200,
        actor_id=identity.rstrip(")") or entry.actor,
        actor_name=name or entry.actor,
        request_id=entry.request,
        chain_seq=stored.index,
        detail=entry.detail,
        change_kind=entry.detail.partition(" ")[0],
    )


def _metadata(index: int, entry: Entry) -> AuditMetadata:
    return AuditMetadata(
        index=index,
        application_id=entry.application,
        application_name=entry.application_name,
        resource=entry.resource,
        operation=entry.operation,
        requested_scopes=tuple(entry.scopes.split()),
        agent_session_id=entry.session,
        agent_lifecycle=entry.lifecycle,
        agent_labels=entry.labels,
        delegation_edge_id=entry.delegations[-1] if entry.delegations else "",
        delegation_hop_count=len(entry.delegations),
        mandate_id=entry.mandate,
        upstream_status=entry.status,
        response_bytes=entry.received_bytes,
        reason=entry.reason,
        error_kind=entry.error,
        subject=entry.subject,
        federated_user_issuer=entry.subject_issuer,
        actor=entry.actor,
        target=entry.target,
    )


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
