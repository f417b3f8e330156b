"""What `SigningKeys` and `VerifyingKeys` promise."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal
from caracal_server.adapters.signing.zone_keys import OVERLAP, ZoneSigningKeys
from caracal_server.adapters.sql.keys import SqlKeyStore

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


class SetClock:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.instant = AT

    def now(self) -> datetime:
        return self.instant

    def now_us(self) -> int:
        return int(self.instant.timestamp()) * 1_000_000

    def monotonic(self) -> float:
        return self.instant.timestamp()


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def seal(entropy):
    return PrivateKeySeal(b"k" * 32, entropy)


@pytest.fixture
def keys(sqlite_database, seal, clock, entropy):
    return ZoneSigningKeys(SqlKeyStore(sqlite_database), seal, clock, entropy)


def accepted(keys, zone_id):
    """The active key and those before it."""
    found = keys.key_set(zone_id)
    return [key.kid for key in (found.active, *found.retiring)]


def following(keys, zone_id):
    [key] = keys.key_set(zone_id).upcoming
    return key.kid


async def test_a_zone_without_a_key_signs_and_verifies_nothing(keys, zone_id):
    assert keys.key_set(zone_id) is None
    with pytest.raises(Unavailable):
        keys.active(zone_id)
    with pytest.raises(Unavailable):
        await keys.rotate(zone_id)


async def test_ensuring_a_key_many_times_makes_one_and_the_one_to_follow(
    keys, zone_id, sqlite_database
):
    await asyncio.gather(*(keys.ensure(zone_id) for _ in range(5)))

    assert len(await SqlKeyStore(sqlite_database).load_all()) == 2
    assert accepted(keys, zone_id) == [keys.active(zone_id).kid]
    assert following(keys, zone_id) != keys.active(zone_id).kid


async def test_a_key_is_published_before_it_signs(keys, zone_id):
    await keys.ensure(zone_id)
    for _ in range(3):
        published, announced = keys.key_set(zone_id), following(keys, zone_id)

        assert await keys.rotate(zone_id) == announced

        key = keys.active(zone_id)
        assert published.find(key.kid).verifies(key.sign(b"data"), b"data")


async def test_a_zone_with_a_single_key_gets_the_one_to_follow(
    keys, zone_id, sqlite_database, seal, clock, entropy
):
    await keys.ensure(zone_id)
    first, second = await SqlKeyStore(sqlite_database).load_all()

    class One(SqlKeyStore):
        """As it is when the process died between the two."""

        async def load_all(self):
            return (first,)

    for act in ("ensure", "rotate"):
        again = ZoneSigningKeys(One(sqlite_database), seal, clock, entropy)
        await again.load()
        assert accepted(again, zone_id) == [first.kid]
        assert again.key_set(zone_id).upcoming == ()
        await getattr(again, act)(zone_id)
        assert following(again, zone_id) not in {first.kid, second.kid}
    assert accepted(again, zone_id)[1:] == [first.kid]


async def test_what_the_active_key_signs_the_key_set_verifies(keys, zone_id):
    await keys.ensure(zone_id)
    key = keys.active(zone_id)

    assert keys.key_set(zone_id).find(key.kid).verifies(key.sign(b"data"), b"data")


async def test_a_rotated_key_is_accepted_for_a_day_and_then_no_more(keys, zone_id, clock):
    await keys.ensure(zone_id)
    first = keys.active(zone_id).kid
    assert accepted(keys, zone_id) == [first]
    clock.instant += timedelta(days=30)

    second = await keys.rotate(zone_id)

    assert keys.active(zone_id).kid == second != first
    assert accepted(keys, zone_id) == [second, first]
    clock.instant += OVERLAP - timedelta(seconds=1)
    assert accepted(keys, zone_id) == [second, first]
    clock.instant += timedelta(seconds=1)
    assert accepted(keys, zone_id) == [second]


async def test_at_most_two_keys_are_accepted(keys, zone_id, clock):
    await keys.ensure(zone_id)
    kids = [await keys.rotate(zone_id) for _ in range(3)]

    assert accepted(keys, zone_id) == [kids[2], kids[1]]


async def test_keys_are_the_same_after_a_restart(
    keys, zone_id, sqlite_database, seal, clock, entropy
):
    await keys.ensure(zone_id)
    await keys.rotate(zone_id)
    # The clock went back, and still keys take their turns in the order they were made.
    clock.instant -= timedelta(hours=1)
    newest = await keys.rotate(zone_id)
    before = accepted(keys, zone_id)

    again = ZoneSigningKeys(SqlKeyStore(sqlite_database), seal, clock, entropy)
    await again.load()

    assert again.active(zone_id).kid == newest
    assert accepted(again, zone_id) == before
    assert following(again, zone_id) == following(keys, zone_id)
    signature = again.active(zone_id).sign(b"data")
    assert keys.key_set(zone_id).find(newest).verifies(signature, b"data")


async def test_a_rotation_that_was_not_stored_changes_nothing(keys, zone_id, sqlite_database):
    await keys.ensure(zone_id)
    active = keys.active(zone_id).kid
    await sqlite_database.close()

    with pytest.raises(Unavailable):
        await keys.rotate(zone_id)
    assert accepted(keys, zone_id) == [active]


async def test_keys_sealed_under_another_servers_key_do_not_load(
    keys, zone_id, sqlite_database, clock, entropy
):
    await keys.ensure(zone_id)
    other = ZoneSigningKeys(
        SqlKeyStore(sqlite_database), PrivateKeySeal(b"K" * 32, entropy), clock, entropy
    )

    with pytest.raises(Unavailable):
        await other.load()


async def test_the_store_never_sees_a_private_key(keys, zone_id, sqlite_database):
    await keys.ensure(zone_id)
    for stored in await SqlKeyStore(sqlite_database).load_all():
        assert b"PRIVATE" not in stored.sealed_private
        assert '"d"' not in stored.public_jwk
