"""Where services run apart, who verifies drops the key before when its time is over, and no other."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec

from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal_server.adapters.peers.key_sets import KeySetReplica
from caracal_server.web.peers.messages import Page, PublishedKeys, encode

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
BEFORE, ACTIVE, FOLLOWING = (SigningKey.generate(KeyId(f"k{number}")) for number in range(3))


async def followed(keys: KeySet, until: datetime | None, clock: SimpleNamespace) -> KeySetReplica:
    replica = KeySetReplica(clock)
    replica.follower = SimpleNamespace(require_fresh=lambda: None)
    published = (PublishedKeys("z1", keys.jwks().decode(), until),)
    whole = msgspec.Raw(encode(published))
    await replica.take(Page("owner", 1, 0, whole))
    return replica


def accepted(replica: KeySetReplica) -> list[str]:
    return [key.kid for key in replica.key_set("z1").accepted]


async def test_the_key_before_goes_and_the_one_to_follow_stays():
    clock = SimpleNamespace(now=lambda: now[0])
    now = [AT]
    keys = KeySet(ACTIVE.public, (BEFORE.public,), (FOLLOWING.public,))
    replica = await followed(keys, AT + timedelta(hours=1), clock)
    assert accepted(replica) == ["k1", "k2", "k0"]
    now[0] += timedelta(hours=1)
    assert accepted(replica) == ["k1", "k2"]
    now[0] += timedelta(hours=1)
    assert accepted(replica) == ["k1", "k2"]


async def test_without_a_key_before_nothing_goes():
    clock = SimpleNamespace(now=lambda: AT)
    replica = await followed(KeySet(ACTIVE.public, (), (FOLLOWING.public,)), None, clock)
    assert accepted(replica) == ["k1", "k2"]
