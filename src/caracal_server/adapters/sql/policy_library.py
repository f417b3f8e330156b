"""The data documents of zones, in one table."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select

from caracal.authority.identifiers import ZoneId
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.instants import from_us, to_us
from caracal_server.adapters.sql.statements import Rendered, insert_into, names_of
from caracal_server.adapters.sql.tables import policy_item
from caracal_server.ports.policy_library import Item, ItemKind

_add = Rendered(
    names_of(policy_item),
    lambda dialect: insert_into(dialect, policy_item).on_conflict_do_nothing(),
)


class _NameTaken(Exception):
    """Ends the transaction, so that nothing of it stays."""


class SqlPolicyLibrary:
    """A `PolicyLibrary` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def items(self, zone_id: ZoneId) -> tuple[Item, ...]:
        table = policy_item.c
        columns = [column for column in policy_item.columns if column.name != "text"]
        statement = select(*columns).where(table.zone_id == zone_id).order_by(table.id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            Item(
                id=row.id,
                zone_id=row.zone_id,
                kind=ItemKind(row.kind),
                parent=row.parent,
                name=row.name,
                digest=row.digest,
                created_at=from_us(row.created_at),
            )
            for row in rows
        )

    async def texts(self, zone_id: ZoneId, ids: Collection[str]) -> Mapping[str, str]:
        table = policy_item.c
        statement = select(table.id, table.text).where(
            table.zone_id == zone_id, table.id.in_(list(ids))
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return {row.id: row.text for row in rows}

    async def add(self, items: Mapping[Item, str]) -> bool:
        def insert(connection: Connection) -> None:
            for item, text in items.items():
                row = (
                    item.id,
                    item.zone_id,
                    item.kind,
                    item.parent,
                    item.name,
                    item.digest,
                    text,
                    to_us(item.created_at),
                )
                if _add.run(connection, *row).rowcount != 1:
                    raise _NameTaken

        try:
            await self._database.transact(insert)
        except _NameTaken:
            return False
        return True

    async def remove(self, zone_id: ZoneId, ids: Collection[str]) -> None:
        table = policy_item.c
        statement = delete(policy_item).where(table.zone_id == zone_id, table.id.in_(list(ids)))
        await self._database.transact(lambda connection: connection.execute(statement))
