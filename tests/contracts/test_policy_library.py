"""What a `PolicyLibrary` promises."""

from datetime import UTC, datetime

import pytest

from caracal.authority.identifiers import ZoneId
from caracal_server.adapters.sql.policy_library import SqlPolicyLibrary
from caracal_server.adapters.sql.zones import SqlZoneStore
from caracal_server.ports.policy_library import Item, ItemKind
from caracal_server.ports.zones import ZoneRecord

AT = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)


@pytest.fixture
async def zone(database, zone_id) -> ZoneId:
    record = ZoneRecord(ZoneId(zone_id), zone_id, 1, AT, (), (), (), None, {}, {}, {})
    await SqlZoneStore(database).save(record, expected_revision=0)
    return record.id


def item(zone: ZoneId, at: int, kind=ItemKind.POLICY, parent="", name="one") -> Item:
    return Item(f"{zone}-{at}", zone, kind, parent, name, "0" * 64, AT)


async def test_items_come_back_oldest_first_and_their_texts_when_asked_for(database, zone):
    library = SqlPolicyLibrary(database)
    policy = item(zone, 1)
    version = item(zone, 2, ItemKind.POLICY_VERSION, policy.id, "1")
    assert await library.add({version: "text\n", policy: ""})
    assert await library.items(zone) == (policy, version)
    assert await library.texts(zone, [version.id, "none"]) == {version.id: "text\n"}
    assert await library.texts(ZoneId("another"), [version.id]) == {}
    assert await library.items(ZoneId("another")) == ()


async def test_a_name_is_taken_once_for_each_kind_and_parent_and_then_nothing_is_added(
    database, zone
):
    library = SqlPolicyLibrary(database)
    assert await library.add({item(zone, 1): ""})
    assert await library.add({item(zone, 2, ItemKind.SET): ""})
    assert await library.add({item(zone, 3, parent="p"): ""})
    assert not await library.add({item(zone, 4, name="other"): "", item(zone, 5): ""})
    assert [one.id[-1] for one in await library.items(zone)] == ["1", "2", "3"]


async def test_what_is_removed_is_gone_and_its_name_free(database, zone):
    library = SqlPolicyLibrary(database)
    assert await library.add({item(zone, 1): "", item(zone, 2, name="two"): ""})
    await library.remove(ZoneId("another"), [item(zone, 1).id])
    await library.remove(zone, [item(zone, 1).id, "none"])
    assert [one.name for one in await library.items(zone)] == ["two"]
    assert await library.add({item(zone, 3): ""})
