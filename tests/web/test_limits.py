"""Bounds on what one process takes on."""

from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from caracal_server.web.limits import FailureThrottle, InFlight


class _Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def now_us(self) -> int:
        return int(self.seconds * 1e6)

    def monotonic(self) -> float:
        return self.seconds


def test_more_failures_than_allowed_block_a_key_and_no_other():
    clock = _Clock()
    throttle = FailureThrottle(clock, failures=3, window_s=60, block_s=30)
    assert [throttle.record_failure("a") for _ in range(3)] == [0, 0, 0]
    assert throttle.record_failure("a") == 30
    assert throttle.blocked_for("a") == 30
    assert throttle.blocked_for("b") == 0
    clock.seconds += 29.5
    assert throttle.blocked_for("a") == 1
    clock.seconds += 0.5
    assert throttle.blocked_for("a") == 0
    assert throttle.record_failure("a") == 0


def test_failures_of_an_earlier_window_do_not_count():
    clock = _Clock()
    throttle = FailureThrottle(clock, failures=1, window_s=60, block_s=30)
    for _ in range(5):
        assert throttle.record_failure("a") == 0
        clock.seconds += 60


def test_a_flood_of_keys_is_forgotten_oldest_first():
    clock = _Clock()
    throttle = FailureThrottle(clock, failures=1, window_s=60, block_s=30, max_keys=2)
    for key in ("a", "b", "c"):
        throttle.record_failure(key)
    assert throttle.record_failure("a") == 0, "it was forgotten"
    assert throttle.record_failure("c") == 30, "it was not"
    for key in ("d", "d", "e", "e"):
        throttle.record_failure(key)
    assert throttle.blocked_for("c") == 0
    assert throttle.blocked_for("e") == 30


@pytest.mark.parametrize("wrong", ["failures", "window_s", "block_s", "max_keys"])
def test_a_throttle_without_bounds_cannot_be_built(wrong):
    with pytest.raises(ValueError, match="positive"):
        FailureThrottle(_Clock(), **{wrong: 0})


class _ThrottleAgainstAModel(RuleBasedStateMachine):
    """A naive model: all failures since the window's first, and an end of the block."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = _Clock()
        self.throttle = FailureThrottle(self.clock, failures=2, window_s=10, block_s=5)
        self.since: dict[str, tuple[float, int]] = {}
        self.until: dict[str, float] = {}

    @rule(key=st.sampled_from("ab"))
    def fail(self, key: str) -> None:
        now = self.clock.seconds
        if self.until.get(key, 0) > now:
            return
        since, count = self.since.get(key, (now, 0))
        if now - since >= 10:
            since, count = now, 0
        self.since[key] = (since, count + 1)
        if count + 1 > 2:
            self.until[key] = now + 5
            del self.since[key]
        assert (self.throttle.record_failure(key) > 0) == (self.until.get(key, 0) > now)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.seconds += seconds

    @invariant()
    def agrees(self) -> None:
        for key in "ab":
            left = max(0, self.until.get(key, 0) - self.clock.seconds)
            assert self.throttle.blocked_for(key) == left


TestThrottleAgainstAModel = _ThrottleAgainstAModel.TestCase


def test_a_place_in_flight_is_given_back_whatever_happens():
    bound = InFlight(1)
    with pytest.raises(KeyError), bound:
        raise KeyError
    assert bound.count == 0
    with pytest.raises(ValueError, match="at least one"):
        InFlight(0)
