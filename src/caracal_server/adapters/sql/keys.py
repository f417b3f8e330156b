"""The zones' signing keys, their private halves sealed."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from caracal.authority.identifiers import ZoneId
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.instants import from_us, to_us
from caracal_server.adapters.sql.statements import insert_of
from caracal_server.adapters.sql.tables import signing_key
from caracal_server.ports.keys import StoredSigningKey

_add = insert_of(signing_key)


class SqlKeyStore:
    """A `KeyStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load_all(self) -> tuple[StoredSigningKey, ...]:
        statement = select(signing_key).order_by(signing_key.c.created_at, signing_key.c.kid)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            StoredSigningKey(
                kid=row.kid,
                zone_id=ZoneId(row.zone_id),
                sealed_private=row.sealed_private,
                public_jwk=row.public_jwk,
                created_at=from_us(row.created_at),
            )
            for row in rows
        )

    async def add(self, key: StoredSigningKey) -> None:
        row = (key.kid, key.zone_id, key.sealed_private, key.public_jwk, to_us(key.created_at))
        await self._database.transact(lambda connection: _add.run_many(connection, [row]))

    async def replace_sealed(self, sealed: Mapping[str, bytes]) -> None:
        await self._database.transact(lambda connection: _replace(connection, sealed))


def _replace(connection: Connection, sealed: Mapping[str, bytes]) -> None:
    for kid, value in sealed.items():
        connection.execute(
            update(signing_key).where(signing_key.c.kid == kid).values(sealed_private=value)
        )
