"""Sessions and delegations: the live graph of every zone, and where it is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from caracal.authority.delegation import Delegation
from caracal.authority.graph import GraphChange, ZoneGraph
from caracal.authority.identifiers import ApplicationId, SessionId, ZoneId
from caracal.authority.revocation import Revocation
from caracal.authority.sessions import Lifecycle, Session, Status


class Graphs(Protocol):
    """The live graphs, in memory. Reads never wait."""

    def graph(self, zone_id: ZoneId) -> ZoneGraph | None: ...


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """What a graph is rebuilt from at start."""

    sessions: tuple[Session, ...]
    delegations: tuple[Delegation, ...]
    revocations: tuple[Revocation, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Filters that all have to hold; newest first; `cursor` is the last id of the page before."""

    status: Status | None = None
    lifecycle: Lifecycle | None = None
    application_id: ApplicationId | None = None
    label: str | None = None
    parent_id: SessionId | None = None
    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class DelegationQuery:
    source: SessionId | None = None
    target: SessionId | None = None
    application_id: ApplicationId | None = None
    active_at: datetime | None = None
    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class IdempotencyReceipt:
    """What an operation answered to a key: found again by `key_digest`."""

    zone_id: ZoneId
    operation: str
    scope: str
    key_digest: str
    request_digest: str
    status: int
    body: bytes
    result_id: str
    expires_at: datetime


class GraphStore(Protocol):
    """Where sessions, delegations and revocations are kept."""

    async def load(self, zone_id: ZoneId, *, revoked_after: datetime) -> StoredGraph:
        """What is live: sessions that have not ended, every delegation to one of them, other
        delegations that are active and unexpired at the instant, and revocations younger than it.
        """
        ...

    async def save(
        self, zone_id: ZoneId, change: GraphChange, receipt: IdempotencyReceipt | None = None
    ) -> None:
        """Store a change durably, with the news of it, all of it or nothing.

        A row never replaces one of a later version.

        Raises:
            Unavailable: it may or may not have been stored, or another request has just stored a
                receipt for the same key; then nothing was stored.
        """
        ...

    async def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None: ...

    async def sessions(self, zone_id: ZoneId, query: SessionQuery) -> tuple[Session, ...]: ...

    async def delegations(
        self, zone_id: ZoneId, query: DelegationQuery
    ) -> tuple[Delegation, ...]: ...

    async def receipt(
        self, zone_id: ZoneId, operation: str, scope: str, key_digest: str
    ) -> IdempotencyReceipt | None: ...

    async def receipt_count(self, zone_id: ZoneId, scope: str, *, now: datetime) -> int: ...

    async def drop_expired(self, *, now: datetime, limit: int) -> int:
        """Delete expired receipts, revocations and news; return how many."""
        ...
