"""Zones: their configuration, and every policy version they ever had."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from caracal.authority.identifiers import ApplicationId, ProviderId, ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.instants import from_us, optional_from_us, optional_to_us, to_us
from caracal_server.adapters.sql.statements import Rendered, RowsInsert, insert_into, names_of
from caracal_server.adapters.sql.tables import (
    application,
    policy_version,
    provider,
    resource,
    subject_issuer,
    tool_pin,
    zone,
)
from caracal_server.adapters.sql.zone_rows import (
    application_rows,
    issuer_rows,
    pin_rows,
    provider_rows,
    read_application,
    read_issuer,
    read_pin,
    read_provider,
    read_resource,
    read_retiring,
    resource_rows,
)
from caracal_server.ports.zones import PolicyVersion, ZoneRecord

_REPLACED = ("name", "revision", "policy_digest", "title", "archived_at")
_add_zone = Rendered(
    names_of(zone),
    lambda dialect: insert_into(dialect, zone).on_conflict_do_nothing(),
)
_replace_zone = Rendered(
    (*_REPLACED, "of", "expected"),
    lambda _: (
        update(zone)
        .values({name: bindparam(name) for name in _REPLACED})
        .where(zone.c.id == bindparam("of"), zone.c.revision == bindparam("expected"))
    ),
)
_add_policy = Rendered(
    names_of(policy_version),
    lambda dialect: insert_into(dialect, policy_version).on_conflict_do_nothing(),
)
_add_applications = RowsInsert(application)
_add_providers = RowsInsert(provider)
_add_resources = RowsInsert(resource)
_add_issuers = RowsInsert(subject_issuer)
_add_pins = RowsInsert(tool_pin)


class SqlZoneStore:
    """A `ZoneStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load_all(self) -> tuple[ZoneRecord, ...]:
        return await self._database.read(_load_all)

    async def save(self, record: ZoneRecord, *, expected_revision: int) -> None:
        _check(record, expected_revision)
        await self._database.transact(
            lambda connection: _save(connection, record, expected_revision)
        )

    async def policy_versions(self, zone_id: ZoneId) -> tuple[PolicyVersion, ...]:
        """Every version of a zone's policy, oldest first."""
        table = policy_version
        statement = (
            select(table.c.digest, table.c.text, table.c.created_at)
            .where(table.c.zone_id == zone_id)
            .order_by(table.c.created_at, table.c.digest)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(PolicyVersion(row.digest, row.text, from_us(row.created_at)) for row in rows)


def _check(record: ZoneRecord, expected_revision: int) -> None:
    if record.revision <= expected_revision:
        raise ValueError("a zone's revision only grows")
    known: set[str] = {one.id for one in record.applications}
    if not record.secret_hashes.keys() | record.retiring_secrets.keys() <= known:
        raise ValueError("a secret hash belongs to an application of the zone")
    known = {one.id for one in record.providers}
    if not record.sealed_credentials.keys() | record.credential_fingerprints.keys() <= known:
        raise ValueError("a credential belongs to a provider of the zone")


def _save(connection: Connection, record: ZoneRecord, expected_revision: int) -> None:
    digest = None if record.policy is None else record.policy.digest
    about = (digest, record.title or None, optional_to_us(record.archived_at))
    if expected_revision == 0:
        written = _add_zone.run(
            connection, record.id, record.name, record.revision, to_us(record.created_at), *about
        )
    else:
        written = _replace_zone.run(
            connection, record.name, record.revision, *about, record.id, expected_revision
        )
    if written.rowcount != 1:
        raise Unavailable(
            Reason.STORE_UNAVAILABLE, f"the zone is not at revision {expected_revision} any more"
        )
    for table in (resource, provider, application, subject_issuer, tool_pin):
        connection.execute(delete(table).where(table.c.zone_id == record.id))
    _add_applications.run(connection, application_rows(record))
    _add_providers.run(connection, provider_rows(record))
    _add_resources.run(connection, resource_rows(record))
    _add_issuers.run(connection, issuer_rows(record))
    _add_pins.run(connection, pin_rows(record))
    if record.policy is not None:
        _keep_policy(connection, record.id, record.policy)


def _keep_policy(connection: Connection, zone_id: ZoneId, policy: PolicyVersion) -> None:
    _add_policy.run(connection, zone_id, policy.digest, policy.text, to_us(policy.created_at))
    kept = connection.execute(
        select(policy_version.c.text).where(
            policy_version.c.zone_id == zone_id, policy_version.c.digest == policy.digest
        )
    ).scalar_one()
    if kept != policy.text:
        raise ValueError("a policy version never changes, and another text has this digest")


def _load_all(connection: Connection) -> tuple[ZoneRecord, ...]:
    applications = _by_zone(connection, application)
    providers = _by_zone(connection, provider)
    resources = _by_zone(connection, resource)
    issuers = _by_zone(connection, subject_issuer)
    pins = _by_zone(connection, tool_pin)
    active = select(
        zone.c.id,
        zone.c.name,
        zone.c.revision,
        zone.c.created_at,
        zone.c.title,
        zone.c.archived_at,
        policy_version.c.digest,
        policy_version.c.text,
        policy_version.c.created_at.label("policy_created_at"),
    ).outerjoin(
        policy_version,
        (policy_version.c.zone_id == zone.c.id) & (policy_version.c.digest == zone.c.policy_digest),
    )
    return tuple(
        _record(
            row,
            applications.get(row.id, ()),
            providers.get(row.id, ()),
            resources.get(row.id, ()),
            issuers.get(row.id, ()),
            pins.get(row.id, ()),
        )
        for row in connection.execute(active.order_by(zone.c.id))
    )


def _by_zone(connection: Connection, table: Table) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in connection.execute(select(table).order_by(table.c.zone_id, table.c.position)):
        found.setdefault(row.zone_id, []).append(row)
    return found


def _record(
    row: Any,
    applications: Iterable[Any],
    providers: Iterable[Any],
    resources: Iterable[Any],
    issuers: Iterable[Any],
    pins: Iterable[Any],
) -> ZoneRecord:
    policy = (
        None
        if row.digest is None
        else PolicyVersion(row.digest, row.text, from_us(row.policy_created_at))
    )
    return ZoneRecord(
        id=ZoneId(row.id),
        name=row.name,
        revision=row.revision,
        created_at=from_us(row.created_at),
        applications=tuple(read_application(one) for one in applications),
        providers=tuple(read_provider(one) for one in providers),
        resources=tuple(read_resource(one) for one in resources),
        policy=policy,
        secret_hashes={
            ApplicationId(one.id): one.secret_hash
            for one in applications
            if one.secret_hash is not None
        },
        sealed_credentials={
            ProviderId(one.id): one.sealed_credential
            for one in providers
            if one.sealed_credential is not None
        },
        credential_fingerprints={
            ProviderId(one.id): one.credential_fingerprint
            for one in providers
            if one.credential_fingerprint is not None
        },
        retiring_secrets={
            ApplicationId(one.id): retiring
            for one in applications
            if (retiring := read_retiring(one)) is not None
        },
        subject_issuers=tuple(read_issuer(one) for one in issuers),
        tool_pins=tuple(read_pin(one) for one in pins),
        title=row.title or "",
        archived_at=optional_from_us(row.archived_at),
    )
