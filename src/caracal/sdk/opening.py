"""Sessions opened, narrowed, kept alive and ended: flows, and the options that they take."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from caracal.authority.identifiers import SessionId
from caracal.authority.scopes import NO_SCOPES
from caracal.authority.sessions import MAX_TTL
from caracal.sdk import surroundings
from caracal.sdk.flows import Caller, Flow
from caracal.sdk.options import Plan, invalid
from caracal.sdk.standing import Standing
from caracal.wire.calls.delegations import (
    Delegation,
    Ends,
    WantedGrant,
    delegate_request,
    read_delegated,
)
from caracal.wire.calls.refusals import CaracalError, SessionEnded
from caracal.wire.calls.sessions import (
    START,
    IdempotencyKey,
    StartedSession,
    end_request,
    heartbeat_request,
    read_ended,
    read_heartbeat,
    read_lease_taken,
    read_started,
    start_request,
    take_lease_request,
)
from caracal.wire.trace_context import TraceContext, new_trace

_KEY_BYTES: Final = 16
_SPARE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was started, and what it holds.

    Attributes:
        holder: the session that was started around it to hand it what it holds, if there was none.
        since: when the request for it was sent, by the monotonic clock.
    """

    standing: Standing
    delegation: Delegation | None
    started: StartedSession
    holder: SessionId | None
    since: float

    @property
    def end(self) -> SessionId:
        """The session to end so that all of it ends."""
        return self.holder or self.standing.id


@dataclass(frozen=True, slots=True)
class Outer:
    """The session around another one, and what it holds."""

    standing: Standing
    delegation: Delegation | None


def open_session(caller: Caller, plan: Plan, outer: Outer | None) -> Flow[Opened]:
    """Start a session, and hand it what it is to hold: by the one around it, or by one made for that.

    Raises:
        CaracalError: nothing is left open then, unless that could not be ended either.
    """
    caller.work_with(*plan.resources)
    if plan.scopes and outer is None:
        return (yield from _with_holder(caller, plan))
    if outer is not None:
        outer.standing.require(START)
    trace = plan.trace or (outer.standing.trace if outer else None)
    trace = trace or new_trace(surroundings.random_bytes)
    held = None if outer is None else outer.delegation
    if plan.wanted.inherit and held is None:
        raise invalid("the session around it holds nothing to inherit", "name scopes instead")
    wanted = replace(
        plan.wanted,
        parent_id=None if outer is None else outer.standing.id,
        inherited=held.id if plan.wanted.inherit and held is not None else None,
    )
    since = surroundings.monotonic()
    request = start_request(
        caller.sessions_url,
        caller.configuration.application_id,
        wanted,
        plan.key or fresh_key(),
    )
    started = read_started((yield from caller.steered(request, trace)))
    lease = started.lease
    standing = Standing(
        started.id,
        trace,
        outer=None if outer is None else outer.standing,
        generation=None if lease is None else lease.generation,
        lease_until=None if lease is None else since + lease.length.total_seconds(),
    )
    delegation: Delegation | None = None
    if started.inherited is not None and held is not None:
        hops = max(1, held.max_hops - 1)
        delegation = replace(held, id=started.inherited, target=started.id, max_hops=hops)
    elif plan.scopes and outer is not None:
        grant, key = _narrowed(plan, held, started), _part(plan.key, "grant")
        try:
            delegation = yield from hand_on(caller, outer, (started.id, ""), grant, key)
        except CaracalError as refused:
            yield from _undo(caller, standing.id, trace, refused)
            raise
    return Opened(standing, delegation, started, None, since)


def hand_on(
    caller: Caller,
    giver: Outer,
    to: tuple[str, str],
    grant: WantedGrant,
    key: IdempotencyKey | None = None,
) -> Flow[Delegation]:
    """Delegate to a session of an application, which is our own when it is left empty.

    Raises:
        CaracalError: nothing was handed on.
    """
    giver.standing.require("delegate")
    caller.work_with(*grant.resources)
    session, application = to
    own = caller.configuration.application_id
    ends = Ends(
        source=giver.standing.id,
        issuer=own,
        target=session,
        receiver=application or own,
        parent_id=None if giver.delegation is None else giver.delegation.id,
    )
    request = delegate_request(caller.delegations_url, ends, grant, key or fresh_key())
    return read_delegated((yield from caller.steered(request, giver.standing.trace)))


def end_session(
    caller: Caller, session: SessionId, trace: TraceContext, generation: int | None = None
) -> Flow[None]:
    """End a session and all below it; that somebody else already did is as good.

    Raises:
        CaracalError: it may live on, until its time has passed.
    """
    request = end_request(caller.sessions_url, session, generation)
    read_ended((yield from caller.steered(request, trace)))


def heartbeat(caller: Caller, standing: Standing) -> Flow[None]:
    """Renew a lease.

    Raises:
        LeaseLost: it is somebody else's, or has run out.
        CaracalError: it was not renewed.
    """
    since = surroundings.monotonic()
    request = heartbeat_request(caller.sessions_url, standing.id, standing.generation or 0)
    lease = read_heartbeat((yield from caller.steered(request, standing.trace)))
    standing.renewed(since + lease.length.total_seconds())


def take_over(caller: Caller, session: str, trace: TraceContext | None) -> Flow[Standing]:
    """Take the lease of a service over from whoever holds it.

    Raises:
        CaracalError: it is not to be had.
    """
    trace = trace or new_trace(surroundings.random_bytes)
    request = take_lease_request(caller.sessions_url, session)
    generation = read_lease_taken((yield from caller.steered(request, trace)))
    standing = Standing(SessionId(session), trace, generation=generation)
    # Its answer says how long the lease is.
    yield from heartbeat(caller, standing)
    return standing


def fresh_key() -> IdempotencyKey:
    return IdempotencyKey(surroundings.random_bytes(_KEY_BYTES).hex())


def _part(key: IdempotencyKey | None, name: str) -> IdempotencyKey | None:
    """The key of a part of what is done under `key`, so that all of it is done once."""
    return None if key is None else replace(key, text=f"{key.text}/{name}")


def closed(what: str) -> SessionEnded:
    """Why a session that was ended here is not used any more."""
    return SessionEnded(what, "its `with` block has ended", code="session_closed")


def _with_holder(caller: Caller, plan: Plan) -> Flow[Opened]:
    """A session that holds nothing hands to one inside it: nobody can delegate to themselves."""
    bare = replace(
        plan,
        scopes=NO_SCOPES,
        resources=frozenset(),
        wanted=replace(plan.wanted, labels=(), metadata={}, ttl=_a_little_longer(plan.wanted.ttl)),
        key=_part(plan.key, "holder"),
    )
    holder = yield from open_session(caller, bare, None)
    inner = replace(plan, wanted=replace(plan.wanted, user=None))
    try:
        opened = yield from open_session(caller, inner, Outer(holder.standing, None))
    except CaracalError as refused:
        yield from _undo(caller, holder.standing.id, holder.standing.trace, refused)
        raise
    return replace(opened, holder=holder.standing.id)


def _a_little_longer(ttl: timedelta | None) -> timedelta | None:
    """The life of a holder: what is inside it would be cut to whole seconds of what it has left."""
    return None if ttl is None else min(ttl + _SPARE, MAX_TTL)


def _undo(
    caller: Caller, session: SessionId, trace: TraceContext, refused: CaracalError
) -> Flow[None]:
    try:
        yield from end_session(caller, session, trace)
    except CaracalError as fault:
        refused.add_note(f"session {session} was not ended, and lives until its ttl: {fault}")


def _narrowed(plan: Plan, held: Delegation | None, started: StartedSession) -> WantedGrant:
    """What is named, until its giver's end unless it states one, within the bounds that must be stated."""
    stated = plan.wanted.ttl
    ends_with_giver = held is not None and stated is None
    return WantedGrant(
        resources=plan.resources,
        scopes=plan.scopes,
        ttl=None if ends_with_giver else stated or started.ends_after,
        expires_at=held.expires_at if held is not None and ends_with_giver else None,
        max_hops=plan.max_hops,
        mandate_ttl=_shorter(None if held is None else held.mandate_ttl, stated),
        budget=None if held is None else held.budget,
    )


def _shorter(held: timedelta | None, stated: timedelta | None) -> timedelta | None:
    return held if held is None or stated is None else min(held, stated)
