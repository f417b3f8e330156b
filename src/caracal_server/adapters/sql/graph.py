"""Sessions, delegations, revocations and idempotency receipts."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Insert, bindparam, delete, func, or_, select, tuple_

from caracal.authority.delegation import Delegation, DelegationStatus
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import SessionId, ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.revocation import RETENTION
from caracal.authority.sessions import Session, Status
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.graph_news import drop_news, read_news, write_news
from caracal_server.adapters.sql.graph_rows import (
    delegation_row,
    label_marks,
    read_delegation,
    read_receipt,
    read_revocation,
    read_session,
    receipt_row,
    revocation_row,
    session_row,
)
from caracal_server.adapters.sql.instants import to_us
from caracal_server.adapters.sql.statements import Rendered, insert_into, names_of, upsert_of
from caracal_server.adapters.sql.tables import (
    delegation,
    graph_epoch,
    idempotency_receipt,
    revocation,
    session,
)
from caracal_server.ports.graph import (
    DelegationQuery,
    IdempotencyReceipt,
    SessionQuery,
    StoredGraph,
)
from caracal_server.ports.news import NewsPage

RACE = timedelta(minutes=1)
"""A receipt for a key whose stored one ends within this of it is of a request that raced another."""

_LIVE = (Status.ACTIVE.value, Status.SUSPENDED.value)

_put_session = upsert_of(session, newer="version")
_put_delegation = upsert_of(delegation, newer="version")
_put_revocation = upsert_of(revocation, newer="at", or_equal=True)
_put_epoch = upsert_of(graph_epoch, newer="epoch")
_lift = Rendered(
    ("zone", "of_kind", "of_anchor"),
    lambda _: delete(revocation).where(
        revocation.c.zone_id == bindparam("zone"),
        revocation.c.kind == bindparam("of_kind"),
        revocation.c.anchor == bindparam("of_anchor"),
    ),
)


def _replace_receipt(dialect: str) -> Insert:
    statement = insert_into(dialect, idempotency_receipt)
    given = statement.excluded
    keys = {column.name for column in idempotency_receipt.primary_key.columns}
    return statement.on_conflict_do_update(
        index_elements=list(idempotency_receipt.primary_key.columns),
        set_={name: given[name] for name in names_of(idempotency_receipt) if name not in keys},
        where=idempotency_receipt.c.expires_at
        < given.expires_at - RACE // timedelta(microseconds=1),
    )


_find_receipt = Rendered(
    ("zone", "of_scope", "of_operation", "of_key"),
    lambda _: select(idempotency_receipt).where(
        idempotency_receipt.c.zone_id == bindparam("zone"),
        idempotency_receipt.c.scope == bindparam("of_scope"),
        idempotency_receipt.c.operation == bindparam("of_operation"),
        idempotency_receipt.c.key_digest == bindparam("of_key"),
    ),
)
_put_receipt = Rendered(names_of(idempotency_receipt), _replace_receipt)


class SqlGraphStore:
    """A `GraphStore` and `NewsStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, zone_id: ZoneId, *, revoked_after: datetime) -> StoredGraph:
        return await self._database.read(
            lambda connection: _load(connection, zone_id, to_us(revoked_after))
        )

    async def save(
        self, zone_id: ZoneId, change: GraphChange, receipt: IdempotencyReceipt | None = None
    ) -> None:
        await self._database.transact(
            lambda connection: _save(connection, zone_id, change, receipt)
        )

    async def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None:
        statement = select(session).where(session.c.id == session_id, session.c.zone_id == zone_id)
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        return None if row is None else read_session(row)

    async def sessions(self, zone_id: ZoneId, query: SessionQuery) -> tuple[Session, ...]:
        statement = select(session).where(session.c.zone_id == zone_id)
        for column, wanted in (
            (session.c.status, query.status),
            (session.c.lifecycle, query.lifecycle),
            (session.c.application_id, query.application_id),
            (session.c.parent_id, query.parent_id),
        ):
            if wanted is not None:
                statement = statement.where(column == str(wanted))
        if query.label is not None:
            labels = session.c.labels
            marks = label_marks(query.label)
            statement = statement.where(
                or_(*(func.replace(labels, mark, "") != labels for mark in marks))
            )
        if query.cursor is not None:
            statement = statement.where(session.c.id < query.cursor)
        page = statement.order_by(session.c.id.desc()).limit(query.limit)
        rows = await self._database.read(lambda connection: connection.execute(page).all())
        return tuple(read_session(row) for row in rows)

    async def delegations(self, zone_id: ZoneId, query: DelegationQuery) -> tuple[Delegation, ...]:
        table = delegation
        statement = select(table).where(table.c.zone_id == zone_id)
        if query.source is not None:
            statement = statement.where(table.c.source == query.source)
        if query.target is not None:
            statement = statement.where(table.c.target == query.target)
        if query.application_id is not None:
            statement = statement.where(
                or_(
                    table.c.issuer == query.application_id, table.c.receiver == query.application_id
                )
            )
        if query.active_at is not None:
            statement = statement.where(
                table.c.status == DelegationStatus.ACTIVE.value,
                table.c.expires_at > to_us(query.active_at),
            )
        if query.cursor is not None:
            statement = statement.where(table.c.id < query.cursor)
        page = statement.order_by(table.c.id.desc()).limit(query.limit)
        rows = await self._database.read(lambda connection: connection.execute(page).all())
        return tuple(read_delegation(row) for row in rows)

    async def receipt(
        self, zone_id: ZoneId, operation: str, scope: str, key_digest: str
    ) -> IdempotencyReceipt | None:
        row = await self._database.read(
            lambda connection: _find_receipt.run(
                connection, zone_id, scope, operation, key_digest
            ).fetchone()
        )
        return None if row is None else read_receipt(row)

    async def receipt_count(self, zone_id: ZoneId, scope: str, *, now: datetime) -> int:
        table = idempotency_receipt
        statement = select(func.count()).where(
            table.c.zone_id == zone_id, table.c.scope == scope, table.c.expires_at > to_us(now)
        )
        return await self._database.read(
            lambda connection: connection.execute(statement).scalar_one()
        )

    async def news(self, after: int, limit: int) -> NewsPage:
        return await self._database.read(lambda connection: read_news(connection, after, limit))

    async def drop_expired(self, *, now: datetime, limit: int) -> int:
        return await self._database.transact(
            lambda connection: _drop_expired(connection, now, limit)
        )


def _load(connection: Connection, zone_id: ZoneId, revoked_after: int) -> StoredGraph:
    live = (session.c.zone_id == zone_id, session.c.status.in_(_LIVE))
    to_live = delegation.c.target.in_(select(session.c.id).where(*live))
    unexpired = (delegation.c.status == DelegationStatus.ACTIVE.value) & (
        delegation.c.expires_at > revoked_after
    )
    sessions = select(session).where(*live).order_by(session.c.id)
    delegations = (
        select(delegation)
        .where(delegation.c.zone_id == zone_id, or_(to_live, unexpired))
        .order_by(delegation.c.id)
    )
    revocations = select(revocation).where(
        revocation.c.zone_id == zone_id, revocation.c.at > revoked_after
    )
    epoch = select(graph_epoch.c.epoch).where(graph_epoch.c.zone_id == zone_id)
    return StoredGraph(
        tuple(read_session(row) for row in connection.execute(sessions)),
        tuple(read_delegation(row) for row in connection.execute(delegations)),
        tuple(read_revocation(row) for row in connection.execute(revocations)),
        connection.execute(epoch).scalar() or 0,
    )


def _save(
    connection: Connection,
    zone_id: ZoneId,
    change: GraphChange,
    receipt: IdempotencyReceipt | None,
) -> None:
    zones = {row.zone_id for row in change.sessions} | {row.zone_id for row in change.delegations}
    if not zones <= {zone_id}:
        raise ValueError("a change belongs to one zone")
    stored = {
        row.id
        for row in change.sessions
        if _put_session.run(connection, *session_row(row)).rowcount == 1
    } | {
        row.id
        for row in change.delegations
        if _put_delegation.run(connection, *delegation_row(row)).rowcount == 1
    }
    _put_revocation.run_many(
        connection, [revocation_row(zone_id, row) for row in change.revocations]
    )
    _lift.run_many(connection, [(zone_id, kind.value, anchor) for kind, anchor in change.lifted])
    if change.epoch:
        _put_epoch.run(connection, zone_id, change.epoch)
    if receipt is not None and _put_receipt.run(connection, *receipt_row(receipt)).rowcount != 1:
        raise Unavailable(
            Reason.STORE_UNAVAILABLE, "another request with this idempotency key was just stored"
        )
    write_news(connection, zone_id, change, frozenset(stored))


def _drop_expired(connection: Connection, now: datetime, limit: int) -> int:
    dropped = 0
    for table, expired in (
        (idempotency_receipt, idempotency_receipt.c.expires_at <= to_us(now)),
        (revocation, revocation.c.at <= to_us(now - RETENTION)),
    ):
        keys = list(table.primary_key.columns)
        found = connection.execute(select(*keys).where(expired).limit(limit - dropped)).all()
        for start in range(0, len(found), 100):
            some = [tuple(row) for row in found[start : start + 100]]
            connection.execute(delete(table).where(tuple_(*keys).in_(some)))
        dropped += len(found)
    return dropped + drop_news(connection, now, limit - dropped)
