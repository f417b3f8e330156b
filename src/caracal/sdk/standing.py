"""How a session stands as far as is known here: nothing is sent for one that has ended."""

from dataclasses import dataclass, field

from caracal.authority.identifiers import SessionId
from caracal.sdk import surroundings
from caracal.wire.calls.delegations import Delegation
from caracal.wire.calls.refusals import CaracalError, LeaseLost, SessionEnded
from caracal.wire.calls.tokens import Acting
from caracal.wire.trace_context import TraceContext


@dataclass(slots=True)
class Standing:
    """One session of ours, and the one around it. Threads read it; whoever keeps it alive writes.

    Attributes:
        generation: of a service's lease; `None` for a task.
        lease_until: when the lease ends unless it is renewed, by this machine's monotonic clock.
    """

    id: SessionId
    trace: TraceContext
    outer: "Standing | None" = None
    generation: int | None = None
    lease_until: float | None = None
    _lost: CaracalError | None = field(default=None, repr=False)

    def require(self, what: str) -> None:
        """Refuse what is to be done in a session that has ended, or whose lease has.

        Raises:
            LeaseLost: somebody else has the lease, or it ran out here.
            SessionEnded: it was ended here, or one around it was.
        """
        if self._lost is not None:
            kind = LeaseLost if isinstance(self._lost, LeaseLost) else SessionEnded
            raise kind(what, str(self._lost), code=self._lost.code) from self._lost
        if self.lease_until is not None and surroundings.monotonic() >= self.lease_until:
            raise LeaseLost(what, "no heartbeat came through in time", code="session_lease_expired")
        if self.outer is not None:
            self.outer.require(what)

    def renewed(self, until: float) -> None:
        self.lease_until = until

    def lose(self, why: CaracalError) -> None:
        """It has ended, for this reason; the first reason stays."""
        self._lost = self._lost or why

    @property
    def lost(self) -> CaracalError | None:
        return self._lost


@dataclass(frozen=True, slots=True)
class Authority:
    """A session, and what it received: enough to get mandates."""

    standing: Standing
    delegation: Delegation

    @property
    def acting(self) -> Acting:
        return Acting(self.standing.id, self.delegation.id)
