"""What a `KeyStore` and an `OperatorStore` promise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sql.keys import SqlKeyStore
from caracal_server.adapters.sql.operators import SqlOperatorStore
from caracal_server.ports.keys import StoredSigningKey
from caracal_server.ports.operators import OperatorScope, OperatorToken

AT = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)


async def test_keys_come_back_oldest_first(database, zone_id):
    store = SqlKeyStore(database)
    old = StoredSigningKey(f"{zone_id}-z", zone_id, b"\x00sealed", '{"kty":"EC"}', AT)
    new = StoredSigningKey(f"{zone_id}-a", zone_id, b"other", "{}", AT + timedelta(seconds=1))
    await store.add(new)
    await store.add(old)

    assert [key for key in await store.load_all() if key.zone_id == zone_id] == [old, new]


async def test_a_key_id_is_used_once(database, zone_id):
    store = SqlKeyStore(database)
    key = StoredSigningKey(zone_id, zone_id, b"first", "{}", AT)
    await store.add(key)

    with pytest.raises(Unavailable):
        await store.add(replace(key, sealed_private=b"second"))

    assert [one for one in await store.load_all() if one.zone_id == zone_id] == [key]


async def test_sealed_halves_are_replaced_all_or_none(database, zone_id):
    store = SqlKeyStore(database)
    keys = [
        StoredSigningKey(f"{zone_id}-{name}", zone_id, b"sealed", "{}", AT) for name in ("a", "b")
    ]
    for key in keys:
        await store.add(key)

    async def mine():
        return [one for one in await store.load_all() if one.zone_id == zone_id]

    with pytest.raises(Unavailable):
        await store.replace_sealed({keys[0].kid: b"anew", keys[1].kid: None})
    assert await mine() == keys

    await store.replace_sealed({keys[1].kid: b"anew"})
    assert await mine() == [keys[0], replace(keys[1], sealed_private=b"anew")]


async def test_operator_tokens_are_kept_until_they_are_removed(database, entropy):
    store = SqlOperatorStore(database)
    first = OperatorToken(
        id=entropy.new_id(),
        name="first",
        token_sha256=entropy.new_id(),
        scopes=frozenset(OperatorScope),
        created_at=AT,
        expires_at=None,
    )
    second = OperatorToken(
        id=entropy.new_id(),
        name="second",
        token_sha256=entropy.new_id(),
        scopes=frozenset({OperatorScope.READ}),
        created_at=AT,
        expires_at=AT + timedelta(days=1),
    )
    await store.add(first)
    await store.add(second)
    with pytest.raises(Unavailable):
        await store.add(replace(first, id=entropy.new_id()))

    ours = {first.id, second.id}
    assert [one for one in await store.tokens() if one.id in ours] == [first, second]
    assert await store.remove(first.id)
    assert not await store.remove(first.id)
    assert [one for one in await store.tokens() if one.id in ours] == [second]
