"""Sessions: one governed execution each, and the life it can lead."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from caracal.authority.identifiers import ApplicationId, RecordId, SessionId, ZoneId
from caracal.authority.subjects import User

LEASE = timedelta(seconds=120)
DEFAULT_TTL = timedelta(hours=1)
MAX_TTL = timedelta(days=1)
MAX_DEPTH = 10
MAX_LABELS = 32
MAX_LABEL_LENGTH = 64


class Lifecycle(StrEnum):
    TASK = "task"
    """Ends by itself when its TTL has passed."""
    SERVICE = "service"
    """Lives as long as heartbeats renew its lease."""


class Status(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    EXPIRED = "expired"


class Event(StrEnum):
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    EXPIRE = "expire"


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.ACTIVE, Event.SUSPEND): Status.SUSPENDED,
    (Status.SUSPENDED, Event.RESUME): Status.ACTIVE,
    (Status.ACTIVE, Event.TERMINATE): Status.TERMINATED,
    (Status.SUSPENDED, Event.TERMINATE): Status.TERMINATED,
    (Status.ACTIVE, Event.EXPIRE): Status.EXPIRED,
    (Status.SUSPENDED, Event.EXPIRE): Status.EXPIRED,
}
"""Every pair that is not here is illegal and changes nothing. Nothing leaves the two last states."""


def next_status(status: Status, event: Event) -> Status | None:
    return TRANSITIONS.get((status, event))


@dataclass(frozen=True, slots=True)
class Session:
    """A node of the zone's session tree.

    Attributes:
        path: the sessions from the root down to this one, itself included.
        record: the authority record of the mandate it was started with.
        ttl: life from `started_at` of a task, and of a service that works for a user; else `None`.
        lease_expires_at: until when a service's lease holds; `None` for a task.
        end_reason: why it ended, or why it is suspended: `parent_suspended` when it is because of its
            parent, so that it resumes with it.
        lease_generation: 0 for a task; for a service from 1, raised by every take-over.
        version: raised by every change, so that a late write never undoes a newer one.
        user: for whom it works; `None` for the application itself.
    """

    id: SessionId
    zone_id: ZoneId
    application_id: ApplicationId
    path: tuple[SessionId, ...]
    record: RecordId
    lifecycle: Lifecycle
    labels: tuple[str, ...]
    status: Status
    started_at: datetime
    ttl: timedelta | None
    lease_expires_at: datetime | None = None
    lease_generation: int = 0
    last_heartbeat_at: datetime | None = None
    metadata: str = "{}"
    ended_at: datetime | None = None
    end_reason: str = ""
    version: int = 1
    health: str = field(default="healthy")
    user: User | None = None

    @property
    def parent_id(self) -> SessionId | None:
        return self.path[-2] if len(self.path) > 1 else None

    @property
    def depth(self) -> int:
        return len(self.path) - 1

    @property
    def expires_at(self) -> datetime:
        """When it stops being live unless something renews it."""
        if self.lease_expires_at is not None:
            return self.lease_expires_at
        return self.started_at + (self.ttl or timedelta())

    @property
    def ends_by(self) -> datetime | None:
        """When it ends whatever renews it; `None` when something may renew it for ever."""
        return None if self.ttl is None else self.started_at + self.ttl

    @property
    def ended(self) -> bool:
        return self.status in {Status.TERMINATED, Status.EXPIRED}

    def live(self, now: datetime) -> bool:
        return self.status is Status.ACTIVE and now < self.expires_at

    def holds_capacity(self, now: datetime) -> bool:
        """Whether it counts against the limits: a suspended service does, an expired task does not."""
        if self.status is Status.SUSPENDED and self.lifecycle is Lifecycle.SERVICE:
            return self.ends_by is None or now < self.ends_by
        return not self.ended and now < self.expires_at
