"""News of what ended, stored with the change that they tell of."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, text

from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ZoneId
from caracal.authority.news import Happened, News, Numbered, Why, news_of
from caracal.authority.revocation import RETENTION
from caracal.authority.sessions import Status
from caracal_server.adapters.sql.instants import to_us
from caracal_server.adapters.sql.statements import Rendered, Row, RowsInsert
from caracal_server.adapters.sql.tables import news, session
from caracal_server.ports.news import NewsPage

ORDER_LOCK = 0x0CA2ACA2
"""Key of the advisory lock under which PostgreSQL commits news: then positions are in order of commits."""

_insert = RowsInsert(news)
_lock = text("SELECT pg_advisory_xact_lock(:key)")
_newest = Rendered((), lambda _: select(func.max(news.c.position)))
_oldest = select(func.min(news.c.position))


def write_news(
    connection: Connection, zone_id: ZoneId, change: GraphChange, stored: frozenset[str]
) -> None:
    """Tell of a change, as the last thing of its transaction.

    Args:
        connection: of that transaction.
        zone_id: where it happened.
        change: what was stored.
        stored: the rows of it that were newer than the stored ones: what was told before, or is not so
            any more, is not told.
    """
    told = [
        one
        for one in news_of(zone_id, change)
        if one.anchor in stored or one.what is Happened.APPLICATION_REMOVED
    ]
    for removed in [one for one in told if one.what is Happened.APPLICATION_REMOVED]:
        told += _sessions_of(connection, removed)
    if not told:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_lock, {"key": ORDER_LOCK})
    position = _position(connection)
    rows: list[Row] = []
    for one in told:
        position = max(position + 1, one.at)
        what = (one.zone_id, one.what.value, one.anchor, one.why.value)
        rows.append((position, *what, one.source, one.target, one.epoch))
    _insert.run(connection, rows)


def read_news(connection: Connection, after: int, limit: int) -> NewsPage:
    page = select(news).where(news.c.position > after).order_by(news.c.position).limit(limit)
    rows = connection.execute(page).all()
    return NewsPage(
        tuple(
            Numbered(
                row.position,
                News(
                    zone_id=row.zone_id,
                    what=Happened(row.what),
                    anchor=row.anchor,
                    why=Why(row.why),
                    source=row.source,
                    target=row.target,
                    epoch=row.epoch,
                ),
            )
            for row in rows
        ),
        oldest=connection.execute(_oldest).scalar() or 0,
        newest=_position(connection),
    )


def drop_news(connection: Connection, now: datetime, limit: int) -> int:
    """Drop what every mandate that it could end has outlived, but never the newest."""
    newest = _position(connection)
    expired = (news.c.position <= to_us(now - RETENTION)) & (news.c.position < newest)
    last = connection.execute(
        select(news.c.position).where(expired).order_by(news.c.position).limit(limit)
    ).all()
    if last:
        connection.execute(delete(news).where(news.c.position <= last[-1].position))
    return len(last)


def _position(connection: Connection) -> int:
    """Of the newest; 0 when there are none."""
    row = _newest.run(connection).fetchone()
    position: int = (None if row is None else row[0]) or 0
    return position


def _sessions_of(connection: Connection, removed: News) -> Iterable[News]:
    """An application's sessions end with it for those who do not look at applications."""
    live = (Status.ACTIVE.value, Status.SUSPENDED.value)
    found = select(session.c.id).where(
        session.c.application_id == removed.anchor,
        session.c.zone_id == removed.zone_id,
        session.c.status.in_(live),
    )
    return (
        replace(removed, what=Happened.SESSION_ENDED, anchor=row.id)
        for row in connection.execute(found).all()
    )
