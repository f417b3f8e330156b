"""The entries that the Coordinator writes: one for every act, and one for every act refused."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from caracal.authority.delegation import Delegation
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Refused
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import ScopeSet
from caracal.authority.sessions import Lifecycle, Session
from caracal.authority.subjects import User
from caracal_server.coordinator.callers import OPERATOR, ApplicationCaller, Caller, OperatorCaller

MAX_NAMED = 64
"""How many of the delegations that ended with something its entry names; it counts all."""
MAX_TEXT = 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Act:
    """Something done in a zone: by which request, when, by whom; time itself is no caller."""

    zone_id: ZoneId
    request_id: str
    at: datetime
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a refused request was about."""

    session: str = ""
    delegations: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    scopes: ScopeSet | None = None
    target: str = ""


def started(act: Act, session: Session, inherited: Delegation | None) -> Entry:
    entry = _of_session(act, Kind.SESSION_START, session)
    return entry if inherited is None else _with_grant(entry, inherited)


def changed(act: Act, kind: Kind, change: GraphChange, *, reason: str) -> Entry:
    """What happened to a session, the first of the change, and to all below it."""
    entry = _of_session(act, kind, change.sessions[0])
    return replace(
        entry,
        reason=reason,
        detail=_count(change),
        delegations=tuple(row.id for row in change.delegations[:MAX_NAMED]),
    )


def leased(act: Act, session: Session) -> Entry:
    entry = _of_session(act, Kind.SESSION_LEASE, session)
    return replace(entry, detail=f"lease generation {session.lease_generation}")


def delegated(act: Act, delegation: Delegation) -> Entry:
    entry = _entry(act, Kind.DELEGATION_CREATE, Verdict.ALLOW, delegation.issuer)
    entry = replace(entry, session=delegation.source, target=delegation.target)
    return _with_grant(entry, delegation)


def revoked(act: Act, delegation: Delegation, change: GraphChange, *, reason: str) -> Entry:
    fallen = (row.id for row in change.delegations if row.id != delegation.id)
    entry = _entry(act, Kind.DELEGATION_REVOKE, Verdict.ALLOW, delegation.issuer)
    return replace(
        entry,
        session=delegation.source,
        target=delegation.id,
        reason=reason,
        detail=_count(change),
        delegations=(delegation.id, *fallen)[:MAX_NAMED],
    )


def revoked_user(act: Act, user: User, change: GraphChange, *, reason: str) -> Entry:
    entry = _entry(act, Kind.SUBJECT_REVOKE, Verdict.ALLOW, "")
    return replace(
        entry,
        target=user.name,
        subject_issuer=user.issuer,
        reason=reason,
        detail=_count(change),
        delegations=tuple(row.id for row in change.delegations[:MAX_NAMED]),
    )


def refused(act: Act, kind: Kind, refusal: Refused, asked: Asked) -> Entry:
    application = act.caller.application.id if isinstance(act.caller, ApplicationCaller) else ""
    return replace(
        _entry(act, kind, Verdict.REFUSE, application),
        reason=refusal.reason.value,
        detail=refusal.detail,
        session=asked.session,
        delegations=asked.delegations,
        resource=" ".join(asked.resources)[:MAX_TEXT],
        scopes="" if asked.scopes is None else asked.scopes.render()[:MAX_TEXT],
        target=asked.target,
    )


def _entry(act: Act, kind: Kind, verdict: Verdict, application_id: str) -> Entry:
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=kind,
        zone=act.zone_id,
        at=(act.at - _EPOCH) // _MICROSECOND,
        request=act.request_id,
        verdict=verdict,
        application=application_id,
    )
    match act.caller:
        case ApplicationCaller(application, mandate):
            return replace(
                entry,
                application_name=application.name,
                subject=mandate.subject,
                mandate=mandate.id,
            )
        case OperatorCaller(operator):
            return replace(entry, subject=OPERATOR, actor=f"{operator.name} ({operator.token_id})")
        case None:
            return entry


def _of_session(act: Act, kind: Kind, session: Session) -> Entry:
    entry = _entry(act, kind, Verdict.ALLOW, session.application_id)
    if session.user is not None and not isinstance(act.caller, OperatorCaller):
        entry = replace(entry, subject=session.user.name, subject_issuer=session.user.issuer)
    ends = session.expires_at if session.lifecycle is Lifecycle.TASK else None
    return replace(
        entry,
        session=session.id,
        target=session.id,
        expires_at=0 if ends is None else int(ends.timestamp()),
    )


def _with_grant(entry: Entry, delegation: Delegation) -> Entry:
    grant = delegation.grant
    return replace(
        entry,
        delegations=delegation.path,
        resource=_resources(grant.constraints.resources or ()),
        scopes=grant.scopes.render(),
        expires_at=int(grant.expires_at.timestamp()),
    )


def _resources(resources: Iterable[ResourceUri]) -> str:
    return " ".join(sorted(resources))


def _count(change: GraphChange) -> str:
    return f"{len(change.sessions)} sessions and {len(change.delegations)} delegations"
