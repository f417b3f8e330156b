"""One open session: what it holds, hands on, accepts, and gets mandates with."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Unpack

from caracal.authority.sessions import Lifecycle
from caracal.sdk.acting import WantedMandate, accept, mint, revoke
from caracal.sdk.engine import Engine
from caracal.sdk.granting import authority_of, governed, grant
from caracal.sdk.narrowing import NarrowableMandate, NarrowingKey
from caracal.sdk.nesting import entered
from caracal.sdk.opening import Outer, closed, end_session, hand_on, open_session
from caracal.sdk.options import SessionOptions, plan_session
from caracal.sdk.sources import Bound
from caracal.sdk.standing import Standing
from caracal.sdk.transport import GovernedTransport
from caracal.wire.calls.delegations import Delegation
from caracal.wire.calls.refusals import CaracalError
from caracal.wire.calls.sessions import END
from caracal.wire.calls.tokens import Mandate


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A session that is open. Threads may share it.

    Attributes:
        engine, standing: for this package.
        delegation: what it received; `None` while it holds nothing.
    """

    engine: Engine
    standing: Standing
    delegation: Delegation | None = None

    @property
    def id(self) -> str:
        return self.standing.id

    @property
    def application_id(self) -> str:
        return self.engine.configuration.application_id

    @property
    def lost(self) -> CaracalError | None:
        """Why it is not used any more; `None` while nothing speaks against it here."""
        return self.standing.lost

    def session(self, **options: Unpack[SessionOptions]) -> AbstractContextManager["Session"]:
        """Open a session inside this one, which gets what is named and nothing else."""
        return opened(self.engine, options, Outer(self.standing, self.delegation))

    def mandate(
        self,
        resource: str,
        scopes: Iterable[str] | None = None,
        *,
        lifetime: timedelta | None = None,
        approval_id: str | None = None,
    ) -> Mandate:
        """Get a mandate for one call; for all the scopes that the session holds when none are named.

        Raises:
            CaracalError: there is none.
        """
        authority = authority_of(self.standing, self.delegation)
        wanted = WantedMandate.of(authority, resource, scopes, lifetime, approval_id)
        return self.engine.run(mint(self.engine.caller, authority, wanted))

    def narrowable(
        self,
        resource: str,
        scopes: Iterable[str] | None = None,
        *,
        lifetime: timedelta | None = None,
    ) -> NarrowableMandate:
        """Get a mandate that is narrowed without asking again, for as many calls as its life allows.

        Raises:
            CaracalError: there is none.
        """
        key = NarrowingKey.generate()
        authority = authority_of(self.standing, self.delegation)
        wanted = key.binding(WantedMandate.of(authority, resource, scopes, lifetime))
        return key.receive(
            (self.engine.run(mint(self.engine.caller, authority, wanted))).token.reveal()
        )

    def transport(
        self,
        resource: str,
        *,
        scopes: Iterable[str] | None = None,
        upstream_prefix: str | None = None,
        receipts: list[str] | None = None,
    ) -> GovernedTransport:
        """A transport for httpx that calls with this session's authority, as long as it is open."""
        authority = authority_of(self.standing, self.delegation)
        wanted = WantedMandate.of(authority, resource, scopes)
        what = governed(self.engine.configuration, wanted, upstream_prefix, receipts)
        return GovernedTransport(self.engine, what, Bound(authority))

    def delegate(
        self,
        to_session: str,
        *,
        resources: Iterable[str],
        scopes: Iterable[str],
        ttl: timedelta,
        to_application: str = "",
        max_hops: int = 1,
        mandate_ttl: timedelta | None = None,
    ) -> Delegation:
        """Hand a part of what this session holds to another one, of `to_application` or our own.

        A session that received nothing hands on what policy then allows the receiver.

        Raises:
            CaracalError: nothing was handed on.
        """
        wanted = grant(resources, scopes, ttl, max_hops, mandate_ttl, self.delegation)
        giver = Outer(self.standing, self.delegation)
        flow = hand_on(self.engine.caller, giver, (to_session, to_application), wanted)
        return self.engine.run(flow)

    def accept(self, delegation_id: str) -> "Session":
        """This session, acting under what was delegated to it.

        Raises:
            DelegationEnded: it was not delegated to this session, or does not hold.
        """
        flow = accept(self.engine.caller, self.standing, delegation_id)
        return replace(self, delegation=self.engine.run(flow))

    def revoke(self, delegation_id: str) -> None:
        """Revoke a delegation that this application made, and all that rests on it."""
        self.engine.run(revoke(self.engine.caller, delegation_id, self.standing.trace))

    def end(self) -> None:
        """End it, and all below it; leaving its `with` block does so, too."""
        self.standing.lose(closed(END))
        _end(self.engine, self.standing)

    def __repr__(self) -> str:
        return f"Session({self.id!r})"


@contextmanager
def opened(engine: Engine, options: SessionOptions, outer: Outer | None) -> Iterator[Session]:
    """A task, ended when the block is left, however it is left."""
    plan = plan_session(options, Lifecycle.TASK, engine.configuration.default_ttl)
    made = engine.run(open_session(engine.caller, plan, outer))
    session = Session(engine, made.standing, made.delegation)
    with ending(session, replace(made.standing, id=made.end)), entered(session):
        yield session


@contextmanager
def ending(session: Session, standing: Standing) -> Iterator[None]:
    """End `standing` with the block. What went wrong inside is not hidden by what goes wrong then."""
    try:
        yield
    except BaseException as failure:
        session.standing.lose(closed(END))
        try:
            _end(session.engine, standing)
        except CaracalError as fault:
            failure.add_note(str(fault))
        raise
    session.standing.lose(closed(END))
    _end(session.engine, standing)


def _end(engine: Engine, standing: Standing) -> None:
    engine.run(end_session(engine.caller, standing.id, standing.trace, standing.generation))
