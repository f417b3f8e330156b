"""Acts of operators as evidence: recorded before they take effect."""

from dataclasses import dataclass

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.operators import OperatorToken

MAX_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, and the id of the request that it came with."""

    actor: str
    request: str

    @classmethod
    def of(cls, operator: OperatorToken, request: str) -> "Act":
        """Name the token's id too: a name may be given again, an id never is."""
        return cls(actor=f"{operator.name} ({operator.id})", request=request)


@dataclass(frozen=True, slots=True)
class ActLog:
    """Records acts of operators. Every method returns once the entry is durable.

    Raises:
        Unavailable: it may not have been recorded, so the act must not happen.
    """

    evidence: EvidenceLog
    clock: Clock

    async def record(
        self,
        kind: Kind,
        zone_id: ZoneId,
        act: Act,
        *,
        target: str,
        detail: str,
        digest: str = "",
        policy: str = "",
    ) -> None:
        """Record what is about to be done."""
        await self.evidence.append(
            Entry(
                format=ENTRY_FORMAT,
                kind=kind,
                zone=zone_id,
                at=self.clock.now_us(),
                request=act.request,
                verdict=Verdict.ALLOW,
                detail=detail[:MAX_DETAIL],
                target=target,
                actor=act.actor,
                digest=digest,
                policy=policy,
            )
        )

    async def refused(
        self, zone_id: ZoneId, act: Act, reason: Reason, *, target: str, detail: str
    ) -> None:
        """Record what an operator was refused."""
        await self.evidence.append(
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.ADMIN_REFUSED,
                zone=zone_id,
                at=self.clock.now_us(),
                request=act.request,
                verdict=Verdict.REFUSE,
                reason=reason,
                detail=detail[:MAX_DETAIL],
                target=target,
                actor=act.actor,
            )
        )
