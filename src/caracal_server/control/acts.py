"""Acts of operators as evidence: recorded before they take effect."""

from dataclasses import dataclass, field

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.operators import OperatorToken

MAX_DETAIL = 2000
MAX_TARGET = 1024


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, and the id of the request that it came with.

    Attributes:
        receipts: gets the references to what is recorded of it.
    """

    actor: str
    request: str
    receipts: list[str] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, operator: OperatorToken, request: str, receipts: list[str]) -> "Act":
        """Name the token's id too: a name may be given again, an id never is."""
        return cls(f"{operator.name} ({operator.id})", request, receipts)


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
        await self._append(
            act,
            Entry(
                format=ENTRY_FORMAT,
                kind=kind,
                zone=zone_id,
                at=self.clock.now_us(),
                request=act.request,
                verdict=Verdict.ALLOW,
                detail=detail[:MAX_DETAIL],
                target=target[:MAX_TARGET],
                actor=act.actor,
                digest=digest,
                policy=policy,
            ),
        )

    async def refused(
        self, zone_id: ZoneId, act: Act, reason: Reason, *, target: str, detail: str
    ) -> None:
        """Record what an operator was refused."""
        await self._append(
            act,
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.ADMIN_REFUSED,
                zone=zone_id,
                at=self.clock.now_us(),
                request=act.request,
                verdict=Verdict.REFUSE,
                reason=reason,
                detail=detail[:MAX_DETAIL],
                target=target[:MAX_TARGET],
                actor=act.actor,
            ),
        )

    async def _append(self, act: Act, entry: Entry) -> None:
        recorded = await self.evidence.append(entry)
        if recorded.reference:
            act.receipts.append(recorded.reference)
