"""A view is whole, in order, and no older than its bound; a change is answered when nobody acts on less."""

import asyncio
from dataclasses import dataclass, field

import pytest
from msgspec import UNSET, DecodeError

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.peers.follower import Follower
from caracal_server.web.peers.feed import MAX_READERS, REMEMBERED, Feed
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.messages import Follow, Page, decode, encode
from caracal_server.web.peers.services import Ask, Service
from tests.apart.wire import Wire, wire

BOUND = 0.6


class View:
    """What a follower has: the changes, in the order they came."""

    def __init__(self) -> None:
        self.changes: list[int] = []
        self.wholes = 0
        self.stale = asyncio.Event()
        self.refuse = 0

    async def take(self, page: Page) -> None:
        if self.refuse:
            self.refuse -= 1
            raise ValueError("can not be put into effect")
        if page.whole is not UNSET:
            self.changes, self.wholes = decode(page.whole, list[int]), self.wholes + 1
        self.changes += [decode(part, int) for part in page.changes]


@dataclass
class Owner:
    """Whose changes are followed: numbers."""

    instance: str = "first"
    bound: float = BOUND
    changes: list[int] = field(default_factory=list)
    feed: Feed[int] = field(init=False)

    def __post_init__(self) -> None:
        self.feed = Feed(
            self.instance,
            SystemClock(),
            self.bound,
            (Service.GATEWAY,),
            whole=lambda _service: self.changes,
            part=lambda _service, change: change,
        )

    def change(self, value: int) -> None:
        self.changes.append(value)
        self.feed.publish(value)


class Following:
    def __init__(self, owner: Owner, bound: float = BOUND) -> None:
        self.owner = owner
        self.view = View()
        self.line: Wire
        channel, self.line = wire(
            Service.GATEWAY, Service.COORDINATOR, [Answer(Ask.FOLLOW_GRAPH, self._answer)]
        )
        self.follower = Follower(
            channel=channel,
            ask=Ask.FOLLOW_GRAPH,
            reader="one",
            bound=bound,
            reason=Reason.REVOCATIONS_STALE,
            clock=SystemClock(),
            take=self.view.take,
            stale=self.view.stale.set,
        )

    async def _answer(self, caller: Service, body: bytes) -> Page:
        return await self.owner.feed.answer(caller, body)

    async def until_fresh(self) -> None:
        async with asyncio.timeout(5):
            while self.follower.check() is not None:
                await asyncio.sleep(0.002)

    def fresh(self) -> bool:
        try:
            self.follower.require_fresh()
        except Unavailable:
            return False
        return True


@pytest.fixture
async def following():
    following = Following(Owner())
    following.follower.start()
    yield following
    await following.follower.close()


async def test_nothing_is_known_before_the_first_answer():
    with pytest.raises(Unavailable) as refused:
        Following(Owner()).follower.require_fresh()
    assert refused.value.reason is Reason.REVOCATIONS_STALE


async def test_a_follower_has_every_change_when_the_owner_answers_it(following):
    await following.until_fresh()
    for value in range(200):
        following.owner.change(value)
        if value % 7 == 0:
            async with asyncio.timeout(5):
                await following.owner.feed.spread()
            assert following.view.changes == list(range(value + 1))
    assert following.view.wholes == 1


async def test_a_view_that_was_cut_off_refuses_within_its_bound_and_recovers(following):
    await following.until_fresh()
    following.line.cut = True
    async with asyncio.timeout(BOUND + 1):
        await following.view.stale.wait()
    assert not following.fresh()
    assert following.follower.check() is not None
    following.line.cut = False
    await following.until_fresh()
    following.owner.change(1)
    await following.owner.feed.spread()
    assert following.view.changes == [1]


async def test_a_change_waits_for_a_silent_follower_until_that_refuses_by_itself(following):
    await following.until_fresh()
    following.line.cut = True
    following.owner.change(1)
    spreading = asyncio.create_task(following.owner.feed.spread())
    while not spreading.done():
        await asyncio.sleep(0.002)
    assert following.view.changes == [1] or not following.fresh()


async def test_an_owner_that_restarted_waits_for_followers_it_never_heard_of():
    following = Following(Owner(bound=BOUND))
    following.follower.start()
    await following.until_fresh()
    following.line.cut = True  # the owner dies, and another one takes its place
    following.owner = Owner(instance="second", bound=BOUND)
    following.owner.change(7)
    async with asyncio.timeout(BOUND + 1):
        await following.owner.feed.spread()
    assert not following.fresh()
    following.line.cut = False
    await following.until_fresh()
    assert following.view.changes == [7]
    await following.follower.close()


async def test_a_follower_that_left_holds_nothing_up(following):
    await following.until_fresh()
    await following.follower.close()
    following.owner.change(1)
    async with asyncio.timeout(BOUND / 3):
        await following.owner.feed.spread()


async def test_who_is_too_far_behind_gets_everything_anew(following):
    await following.until_fresh()
    following.line.cut = True
    await asyncio.wait_for(following.view.stale.wait(), BOUND + 1)
    for value in range(REMEMBERED + 5):
        following.owner.change(value)
    following.line.cut = False
    await following.until_fresh()
    assert following.view.changes == list(range(REMEMBERED + 5))
    assert following.view.wholes == 2


async def test_an_answer_that_got_lost_is_asked_for_again(following):
    await following.until_fresh()
    following.line.lose = 1
    following.owner.change(1)
    async with asyncio.timeout(5):
        await following.owner.feed.spread()
    assert following.view.changes == [1]


async def test_a_page_that_can_not_be_put_into_effect_counts_as_nothing_heard(following):
    await following.until_fresh()
    following.view.refuse = 1
    following.owner.change(1)
    async with asyncio.timeout(5):
        await following.owner.feed.spread()
    await following.until_fresh()
    assert following.view.changes == [1]
    assert following.view.wholes == 2


async def test_an_answer_that_was_changed_on_its_way_is_not_believed(following):
    await following.until_fresh()

    def forged(reply):
        reply.document = reply.document.replace(b'"number":', b'"number":9')
        return reply

    following.line.change = forged
    async with asyncio.timeout(BOUND + 1):
        await following.view.stale.wait()
    assert "is not proven" in following.follower.check()


async def test_an_answer_to_another_question_is_not_believed(following):
    await following.until_fresh()
    kept = []

    def earlier(reply):
        kept.append(reply)
        return kept[0]

    following.line.change = earlier
    async with asyncio.timeout(BOUND + 1):
        await following.view.stale.wait()
    assert not following.fresh()


@pytest.mark.parametrize("bound", [0.0, -1.0, BOUND + 1, 1e300, float("inf")])
async def test_a_follower_that_would_act_on_a_view_for_longer_is_not_answered(bound):
    owner = Owner()
    message = encode(Follow("one", "", 0, bound))
    with pytest.raises((Unavailable, DecodeError)):
        await owner.feed.answer(Service.GATEWAY, message)


async def test_followers_are_not_remembered_without_end():
    owner = Owner()
    for number in range(MAX_READERS + 1):
        await owner.feed.answer(Service.GATEWAY, encode(Follow(f"r-{number}", "", 0, BOUND)))
    with pytest.raises(Unavailable, match="too many"):
        await owner.feed.answer(Service.GATEWAY, encode(Follow("one more", "", 0, BOUND)))
    with pytest.raises(Unavailable, match="too many"):
        await owner.feed.answer(Service.GATEWAY, encode(Follow("n" * 65, "", 0, BOUND)))


async def test_an_owner_that_was_left_behind_is_followed_by_nobody(following):
    await following.until_fresh()

    def left_behind() -> None:
        raise Unavailable(Reason.STORE_UNAVAILABLE, "another process owns it")

    following.owner.feed.owner = left_behind
    await asyncio.wait_for(following.view.stale.wait(), 5)
    assert not following.fresh()
