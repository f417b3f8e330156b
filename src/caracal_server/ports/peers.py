"""What one service asks of another. In one process a local adapter answers, else an HTTP one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from caracal.authority.identifiers import ApplicationId, RecordId, SessionId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Refused
from caracal.authority.revocation import Revocation
from caracal.authority.sessions import Session
from caracal.authority.subjects import User


class ResourceMandates(Protocol):
    """The STS, as the Gateway sees it: it signs what the Gateway never could."""

    async def mint_for_resource(
        self, presented: Mandate, audience: str, *, token: bytes, now: datetime
    ) -> str:
        """A resource mandate that descends from a gateway mandate the Gateway has admitted.

        Args:
            presented: that mandate, as the Gateway has proven it.
            audience: the resource server.
            token: the bytes that it was presented as, for who does not believe the Gateway.
            now: UTC.

        Raises:
            TokenRefused: verifiers would not read it, or the token does not prove what it should.
            Unavailable: the STS can not be reached, or has no key.
        """
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """A user who signed in: proven when, and until when."""

    user: User
    proven_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class WantedSession:
    """A task that a client of an MCP server is to have, and what it is for.

    Attributes:
        record: the authority record of the mandate that will rest on it.
        person: for whom it is; `None` for the application itself.
    """

    zone_id: ZoneId
    application_id: ApplicationId
    record: RecordId
    ttl: timedelta
    labels: tuple[str, ...]
    request_id: str
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A task that was started: recorded, stored, and known wherever it will be asked about."""

    id: SessionId
    expires_at: datetime


class ClientSessions(Protocol):
    """The Coordinator, as the STS sees it: sessions for clients that know of none."""

    async def open(self, wanted: WantedSession) -> OpenedSession | Refused:
        """Start a task; a limit that is reached is a refusal, which is on record.

        Raises:
            Unavailable: it could not be recorded or stored, or the Coordinator not be reached; none was
                started.
        """
        ...


class LiveAuthority(Protocol):
    """The Coordinator, as the Gateway sees it."""

    def revocation(self, mandate: Mandate) -> Revocation | None:
        """The revocation that covers a mandate, if any.

        Raises:
            Unavailable: the view is older than its bound; refuse.
        """
        ...

    def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None: ...

    def subscribe(self, zone_id: ZoneId, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every revocation in a zone; returns what ends the subscription."""
        ...
