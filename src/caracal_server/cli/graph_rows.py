"""Sessions and delegations as the Coordinator lists them, and what hangs below what."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from caracal_server.cli.server import Server, path_of

PAGE: Final = 500
LIVE: Final = ("active", "suspended")


class SessionRow(msgspec.Struct, frozen=True):
    """A row of the Coordinator, under the names that the wire has for it."""

    agent_session_id: str
    application_id: str
    parent_id: str | None
    lifecycle: str
    labels: tuple[str, ...]
    status: str
    depth: int
    ttl_seconds: int | None
    started_at: str
    heartbeat_deadline_at: str | None = None
    terminated_at: str | None = None
    termination_reason: str | None = None

    @property
    def id(self) -> str:
        return self.agent_session_id

    @property
    def live(self) -> bool:
        return self.status in LIVE


class SessionView(msgspec.Struct, frozen=True):
    """What `--json` prints of a session."""

    id: str
    application: str
    application_id: str
    parent: str | None
    lifecycle: str
    labels: tuple[str, ...]
    status: str
    depth: int
    ttl_seconds: int | None
    started_at: str
    lease_expires_at: str | None
    ended_at: str | None
    end_reason: str | None


class DelegationRow(msgspec.Struct, frozen=True):
    """A row of the Coordinator."""

    id: str
    source_session_id: str
    target_session_id: str
    issuer_application_id: str
    receiver_application_id: str
    parent_edge_id: str | None
    resource_id: str | None
    scopes: tuple[str, ...]
    status: str
    created_at: str
    expires_at: str


class _SessionPage(msgspec.Struct, frozen=True):
    items: tuple[SessionRow, ...]
    next_cursor: str | None = None


class _DelegationPage(msgspec.Struct, frozen=True):
    items: tuple[DelegationRow, ...]
    next_cursor: str | None = None


def load_sessions(server: Server, zone_id: str, statuses: Iterable[str | None]) -> list[SessionRow]:
    """Load the sessions in these states, oldest first; `None` stands for any state."""
    path = path_of("zones", zone_id, "agents")
    found: dict[str, SessionRow] = {}
    for status in statuses:
        cursor: str | None = None
        while True:
            page = server.get(path, _SessionPage, limit=PAGE, cursor=cursor, status=status)
            found.update((row.id, row) for row in page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
    return sorted(found.values(), key=lambda row: (row.started_at, row.depth, row.id))


def load_delegations(server: Server, zone_id: str) -> list[DelegationRow]:
    """Load the delegations that hold now, oldest first."""
    path = path_of("zones", zone_id, "delegations", "active")
    found: dict[str, DelegationRow] = {}
    cursor: str | None = None
    while True:
        page = server.get(path, _DelegationPage, limit=PAGE, cursor=cursor)
        found.update((row.id, row) for row in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return sorted(found.values(), key=lambda row: (row.created_at, row.id))


def children_of(rows: Iterable[SessionRow]) -> Mapping[str | None, list[SessionRow]]:
    """Rows by their parent; under `None` those whose parent is not among them."""
    rows = list(rows)
    known = {row.id for row in rows}
    found: dict[str | None, list[SessionRow]] = {}
    for row in rows:
        found.setdefault(row.parent_id if row.parent_id in known else None, []).append(row)
    return found


def subtree(rows: Iterable[SessionRow], root: str) -> list[SessionRow]:
    """The session and all below it, those above first."""
    rows = list(rows)
    children = children_of(rows)
    found = [row for row in rows if row.id == root]
    for row in found:  # grows while it is walked
        found.extend(children.get(row.id, ()))
    return found


def falling_with(
    delegations: Iterable[DelegationRow], sessions: Iterable[SessionRow]
) -> list[DelegationRow]:
    """The delegations that end with these sessions: theirs, and all narrowed from those."""
    ending = {row.id for row in sessions}
    remaining = list(delegations)
    found: dict[str, DelegationRow] = {}
    while True:
        fallen = [
            row
            for row in remaining
            if {row.source_session_id, row.target_session_id} & ending
            or row.parent_edge_id in found
        ]
        if not fallen:
            return list(found.values())
        found.update((row.id, row) for row in fallen)
        remaining = [row for row in remaining if row.id not in found]


def view(row: SessionRow, names: Mapping[str, str]) -> SessionView:
    return SessionView(
        id=row.id,
        application=names.get(row.application_id, ""),
        application_id=row.application_id,
        parent=row.parent_id,
        lifecycle=row.lifecycle,
        labels=row.labels,
        status=row.status,
        depth=row.depth,
        ttl_seconds=row.ttl_seconds,
        started_at=row.started_at,
        lease_expires_at=row.heartbeat_deadline_at,
        ended_at=row.terminated_at,
        end_reason=row.termination_reason,
    )
