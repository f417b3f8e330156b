"""What is done in a session that is open: mandates, acceptances, receipts; flows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from caracal.authority.mandates import Holder
from caracal.authority.scopes import InvalidScope, ScopeSet
from caracal.authority.sessions import Status
from caracal.evidence.receipts import Receipt
from caracal.sdk import surroundings
from caracal.sdk.flows import Caller, Flow, answered
from caracal.sdk.opening import Opened, Outer, end_session, open_session
from caracal.sdk.options import Plan
from caracal.sdk.standing import Authority, Standing
from caracal.tokens.secret import Secret
from caracal.wire.calls.delegations import (
    Delegation,
    inbound_request,
    read_inbound,
    read_revoked,
    revoke_request,
)
from caracal.wire.calls.receipts import read_receipt, receipt_request
from caracal.wire.calls.refusals import DelegationEnded, InvalidRequest, SessionEnded
from caracal.wire.calls.sessions import read_session, session_request
from caracal.wire.calls.tokens import (
    MANDATE,
    Mandate,
    SignedInUser,
    mandate_request,
    read_mandate,
    read_user,
    sign_in_request,
)
from caracal.wire.trace_context import TraceContext

ACCEPT: Final = "accept a delegation"
_PAGES: Final = 100
_RENEW_BEFORE: Final = timedelta(seconds=60)
"""Longer than what the Gateway wants a mandate to have left."""
_PARENT_ENDED: Final = "parent_terminated"
_STOPPED: Final = frozenset({Status.TERMINATED, Status.SUSPENDED})


@dataclass(frozen=True, slots=True)
class WantedMandate:
    """What a mandate is to be good for: one call, or those that a holder closes it for."""

    resource: str
    scopes: ScopeSet
    lifetime: timedelta | None = None
    approval_id: str | None = None
    holder: Holder | None = None

    @classmethod
    def of(
        cls,
        authority: Authority | None,
        resource: str,
        scopes: Iterable[str] | None,
        lifetime: timedelta | None = None,
        approval_id: str | None = None,
    ) -> "WantedMandate":
        """For all that the session holds, when no scopes are named.

        Raises:
            InvalidRequest: a scope is none.
        """
        if scopes is None:
            held = ScopeSet(frozenset()) if authority is None else authority.delegation.scopes
            return cls(resource, held, lifetime, approval_id)
        if isinstance(scopes, str):
            raise InvalidRequest(
                MANDATE, "one text is not several scopes", code="scope_missing", fix="pass a list"
            )
        try:
            return cls(resource, ScopeSet.from_texts(scopes), lifetime, approval_id)
        except InvalidScope as error:
            raise InvalidRequest(MANDATE, str(error), code="scope_unknown") from None


def mint(caller: Caller, authority: Authority, wanted: WantedMandate) -> Flow[Mandate]:
    """Get a mandate for one call.

    Raises:
        CaracalError: there is none.
    """
    authority.standing.require(MANDATE)
    request = mandate_request(
        caller.application,
        authority.acting,
        wanted.resource,
        wanted.scopes,
        lifetime=wanted.lifetime,
        approval_id=wanted.approval_id,
        holder=wanted.holder,
    )
    trace = authority.standing.trace.headers(surroundings.random_bytes)
    return read_mandate((yield from answered(request.carrying(trace))))


def accept(caller: Caller, standing: Standing, delegation_id: str) -> Flow[Delegation]:
    """Find what was delegated to this session, as it stands now.

    Raises:
        DelegationEnded: it was not, or does not hold any more.
        CaracalError: it can not be read.
    """
    standing.require(ACCEPT)
    cursor: str | None = None
    for _ in range(_PAGES):
        request = inbound_request(caller.delegations_url, standing.id, cursor)
        page = read_inbound((yield from caller.steered(request, standing.trace)))
        for delegation in page.delegations:
            if delegation.id == delegation_id and delegation.target == standing.id:
                return delegation
        if page.cursor is None:
            break
        cursor = page.cursor
    raise DelegationEnded(
        ACCEPT, "it was not made to this session, or does not hold", code="delegation_unknown"
    )


def revoke(caller: Caller, delegation_id: str, trace: TraceContext) -> Flow[None]:
    """Revoke a delegation of ours, and all that rests on it."""
    request = revoke_request(caller.delegations_url, delegation_id)
    read_revoked((yield from caller.steered(request, trace)))


def sign_in(caller: Caller, id_token: str, lifetime: timedelta | None) -> Flow[SignedInUser]:
    request = sign_in_request(caller.application, Secret(id_token), lifetime=lifetime)
    return read_user((yield from answered(request)))


def fetch_receipt(caller: Caller, reference: str, *, witnessed: bool) -> Flow[Receipt]:
    request = receipt_request(caller.configuration.audit_url, reference, witnessed=witnessed)
    return read_receipt((yield from answered(request)))


def renewed(caller: Caller, plan: Plan, outer: Outer | None, opened: Opened | None) -> Flow[Opened]:
    """The session of a transport: the one it has, or another one when that is about to end by itself.

    Raises:
        SessionEnded: somebody ended or paused it, and so no other one takes its place.
        CaracalError: there is none to be had.
    """
    if opened is None:
        return (yield from open_session(caller, plan, outer))
    if outer is not None:
        outer.standing.require(MANDATE)
    life = opened.started.ends_after or _RENEW_BEFORE
    if surroundings.monotonic() < opened.since + (life - _RENEW_BEFORE).total_seconds():
        return opened
    yield from _require_ended_by_itself(caller, opened)
    yield from end_session(caller, opened.end, opened.standing.trace)
    return (yield from open_session(caller, plan, outer))


def _require_ended_by_itself(caller: Caller, opened: Opened) -> Flow[None]:
    trace = opened.standing.trace
    request = session_request(caller.sessions_url, opened.standing.id)
    state = read_session((yield from caller.steered(request, trace)))
    if state.end_reason == _PARENT_ENDED and opened.holder is not None:
        request = session_request(caller.sessions_url, opened.holder)
        state = read_session((yield from caller.steered(request, trace)))
    if state.status in _STOPPED:
        raise SessionEnded(
            MANDATE,
            f"session {opened.standing.id} is {state.status}: {state.end_reason or 'no reason'}",
            code="session_not_live",
            fix="find out who ended it and why, before you make another transport",
        )
