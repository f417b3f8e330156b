"""Sealing keys change while nobody changes a zone, and zones change while nobody changes sealing keys."""

from dataclasses import dataclass, field

import pytest

from caracal.authority.events import Kind
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.resealing import Reseal, Resealed
from caracal_server.control.settings import SYSTEM_LOG
from tests.control.world import document, opened

WHO = Act("first (1)", "request-1")


@pytest.fixture
async def world(tmp_path):
    async with opened(tmp_path) as it:
        yield it


@dataclass
class SigningKeys:
    sealed: int = 0

    async def reseal(self) -> int:
        self.sealed += 1
        return 1


@dataclass
class Credentials:
    """Seals by adding a letter; opens nothing."""

    steps: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.steps.append("begin")

    def reseal(self, zone_id, provider_id, sealed):
        self.steps.append("reseal")
        return sealed

    def finish(self, kept) -> None:
        self.steps.append(f"finish with {len(tuple(kept))}")


def resealing(world):
    publication = world.control.apply.publication
    acts = ActLog(world.ports.evidence, world.ports.clock)
    return Reseal(acts, publication, SigningKeys(), Credentials())


async def test_everything_is_sealed_anew_before_the_key_before_is_dropped(world):
    await world.applied(document())
    reseal = resealing(world)
    assert await reseal(WHO) == Resealed(signing_keys=1, credentials=1)
    assert reseal.credentials.steps == ["begin", "reseal", "finish with 1"]
    assert (await world.record()).revision == 2
    [entry] = [one for one in await world.entries(SYSTEM_LOG) if one.kind is Kind.KEY_ROTATE]
    assert (entry.actor, entry.target) == (WHO.actor, "sealing keys")


async def test_no_zone_is_changed_meanwhile_not_even_a_new_one(world):
    await world.applied(document())
    publication = world.control.apply.publication
    assert publication.take_every_turn() is None
    for name in ("shop", "another"):
        answer = await world.put(document(zone=name))
        assert (answer.status_code, answer.json()["reason"]) == (409, Reason.ZONE_CHANGED)
    rotated = await world.ask("POST", "/v1/zones/shop/keys/rotate")
    assert (rotated.status_code, rotated.json()["reason"]) == (409, Reason.ZONE_CHANGED)
    assert isinstance(await resealing(world)(WHO), Refused)
    publication.end_every_turn()
    assert (await world.ask("POST", "/v1/zones/shop/keys/rotate")).status_code == 200
    await world.applied(document(zone="another"))


async def test_nothing_is_resealed_while_a_zone_is_being_changed(world):
    await world.applied(document())
    publication = world.control.apply.publication
    publication.take_turn("shop")
    reseal = resealing(world)
    assert isinstance(await reseal(WHO), Refused)
    assert (reseal.signing_keys.sealed, reseal.credentials.steps) == (0, [])
    publication.end_turn("shop")
    assert await reseal(WHO) == Resealed(1, 1)


async def test_nothing_is_resealed_that_could_not_be_recorded(world):
    await world.applied(document())
    world.log.failing = True
    reseal = resealing(world)
    with pytest.raises(Unavailable):
        await reseal(WHO)
    assert (reseal.signing_keys.sealed, reseal.credentials.steps) == (0, [])
    world.log.failing = False
    assert isinstance(await reseal(WHO), Resealed)
