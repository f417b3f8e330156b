"""Operators' tokens, kept as digests."""

from sqlalchemy import delete, select

from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.instants import from_us, optional_from_us, optional_to_us, to_us
from caracal_server.adapters.sql.statements import insert_of
from caracal_server.adapters.sql.tables import operator_token
from caracal_server.ports.operators import OperatorScope, OperatorToken

_add = insert_of(operator_token)


class SqlOperatorStore:
    """An `OperatorStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tokens(self) -> tuple[OperatorToken, ...]:
        statement = select(operator_token).order_by(operator_token.c.id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            OperatorToken(
                id=row.id,
                name=row.name,
                token_sha256=row.token_sha256,
                scopes=frozenset(map(OperatorScope, row.scopes.split())),
                created_at=from_us(row.created_at),
                expires_at=optional_from_us(row.expires_at),
            )
            for row in rows
        )

    async def add(self, token: OperatorToken) -> None:
        row = (
            token.id,
            token.name,
            token.token_sha256,
            " ".join(sorted(token.scopes)),
            to_us(token.created_at),
            optional_to_us(token.expires_at),
        )
        await self._database.transact(lambda connection: _add.run_many(connection, [row]))

    async def remove(self, token_id: str) -> bool:
        statement = delete(operator_token).where(operator_token.c.id == token_id)
        removed = await self._database.transact(
            lambda connection: connection.execute(statement).rowcount
        )
        return removed == 1
