"""The cache of keys as a pure state machine, driven through everything that can happen to it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal.verify import CacheRules
from caracal.verify.key_cache import Fetch, KeyCache, Pause, Unavailable, Unknown, Use, Wait

_RULES = CacheRules(ttl=300, stale=600, shortest=0.125, interval=1, longest_wait=30)
_KEYS = [SigningKey.generate(KeyId(f"key-{number}")).public for number in range(4)]
_KIDS = st.sampled_from([key.kid for key in _KEYS] + ["never-published"])


class AnyOrder(RuleBasedStateMachine):
    """Time passes, tokens come, the issuer rotates and goes down; nothing is out of bounds."""

    def __init__(self):
        super().__init__()
        self.cache = KeyCache(_RULES)
        self.now = 0.0
        self.published = 0
        self.begun = None
        self.down = False
        self.least = -1.0
        self.seen: dict[str, float] = {}

    @rule(parts=st.integers(0, 5 * 1024) | st.integers(0, 700 * 1024))
    def time_passes(self, parts):
        self.now += parts / 1024  # floats hold sums of these without rounding

    @rule()
    def the_issuer_rotates(self):
        self.published = min(self.published + 1, len(_KEYS) - 1)

    @rule(down=st.booleans())
    def the_issuer_goes_down_or_up(self, down):
        self.down = down

    @rule(kid=_KIDS)
    def a_token_comes(self, kid):
        before = self.cache
        plan = self.cache.plan(kid, self.now, in_flight=self.begun is not None)
        assert self.cache is before
        match plan:
            case Fetch():
                assert self.begun is None
                assert self.now >= self.least
                self.begun, self.sought = self.now, kid
            case Wait():
                assert self.begun is not None
            case Use(keys):
                assert keys.find(kid) is not None
                assert self.now - self.seen[kid] < _RULES.ttl + _RULES.stale
            case Unknown():
                # Only what an issuer that was asked this moment does not publish.
                assert self.now - self.cache.tried_at < _RULES.interval
                assert self.cache.keys.find(kid) is None
            case Pause(seconds):
                assert self.begun is None
                assert 0 < seconds <= _RULES.shortest
                assert self.cache.plan(kid, self.now + seconds, in_flight=False) == Fetch()
            case Unavailable(retry_after):
                assert self.begun is None
                assert 0 < retry_after <= _RULES.longest_wait
                later = self.cache.plan(kid, self.now + retry_after, in_flight=False)
                assert later == Fetch()

    @precondition(lambda self: self.begun is not None)
    @rule()
    def the_fetch_ends(self):
        if self.down:
            self.cache = self.cache.failed(ended=self.now)
            self.least = self.now + _RULES.interval
        else:
            keys = KeySet(_KEYS[self.published], tuple(_KEYS[: self.published]))
            self.cache = self.cache.fetched(keys, kid=self.sought, begun=self.begun, ended=self.now)
            missed = keys.find(self.sought) is None
            self.least = self.now + (_RULES.interval if missed else _RULES.shortest)
            self.seen |= {key.kid: self.begun for key in keys.accepted}
            for key in keys.accepted:
                use = self.cache.plan(key.kid, self.begun, in_flight=False)
                assert use == Use(keys)
        self.begun = None

    @invariant()
    def nothing_is_used_after_its_time(self):
        end = self.cache.fetched_at + _RULES.ttl + _RULES.stale
        for key in _KEYS:
            for in_flight in (True, False):
                plan = self.cache.plan(key.kid, max(self.now, end), in_flight=in_flight)
                assert not isinstance(plan, Use)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTheCacheInAnyOrder = AnyOrder.TestCase


def test_a_key_that_is_new_is_asked_for_at_once_and_a_made_up_one_once_a_second():
    old, new = _KEYS[0], _KEYS[1]
    keys = KeySet(old)
    cache = KeyCache(_RULES).fetched(keys, kid=old.kid, begun=0, ended=0)
    assert isinstance(cache.plan(new.kid, 0.0625, in_flight=False), Pause)
    assert cache.plan(new.kid, 0.125, in_flight=False) == Fetch()
    cache = cache.fetched(keys, kid="made-up", begun=1, ended=1)
    assert cache.plan(new.kid, 1.9, in_flight=False) == Unknown()
    assert cache.plan(new.kid, 2, in_flight=False) == Fetch()
    assert cache.plan(old.kid, 299, in_flight=False) == Use(keys)


def test_the_wait_after_failures_doubles_up_to_its_bound():
    waits, cache = [], KeyCache(_RULES)
    for _ in range(8):
        cache = cache.failed(ended=0)
        waits.append(cache.plan("any", 0, in_flight=False).retry_after)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_while_somebody_fetches_others_use_what_is_not_too_old():
    keys = KeySet(_KEYS[0])
    cache = KeyCache(_RULES).fetched(keys, kid=_KEYS[0].kid, begun=0, ended=0)
    assert cache.plan(_KEYS[0].kid, 301, in_flight=True) == Use(keys)
    assert cache.plan(_KEYS[0].kid, 900, in_flight=True) == Wait()


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": 0},
        {"stale": -1},
        {"interval": 0},
        {"interval": 31},
        {"longest_wait": 0.5},
        {"shortest": 0},
        {"shortest": 2},
    ],
)
def test_rules_that_make_no_sense_are_told(wrong):
    with pytest.raises(ValueError, match="interval"):
        CacheRules(**wrong)
