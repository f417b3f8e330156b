"""The state of a zone's published keys, and what to do about a key id: pure.

Instants are seconds of one clock that never goes back; whoever holds the state fetches, and says when.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from caracal.tokens.keys import KeySet

_MAX_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How long keys count and how often they are fetched, in seconds.

    Attributes:
        ttl: after that they are fetched again.
        stale: how long beyond it they are served while fetching fails.
        shortest: the least time between any two fetches.
        interval: the least time after a fetch that did not bring the key it was for; it bounds what
            made-up key ids can cause, and is all that they can delay the news of a rotation.
        longest_wait: between fetches that fail, the wait doubles from `interval` up to this.
    """

    ttl: float = 300.0
    stale: float = 600.0
    shortest: float = 0.1
    interval: float = 1.0
    longest_wait: float = 30.0

    def __post_init__(self) -> None:
        waits = 0 < self.shortest <= self.interval <= self.longest_wait
        if self.ttl <= 0 or self.stale < 0 or not waits:
            raise ValueError("ttl above 0, stale from 0, shortest <= interval <= longest_wait")


@dataclass(frozen=True, slots=True)
class Use:
    """Verify with these."""

    keys: KeySet


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch, and ask again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody is fetching: wait for them, and ask again."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The last fetch is only a moment old: let `seconds` pass, and ask again."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """The issuer was asked just now and publishes no such key."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """There is no way to tell; `retry_after` seconds from now there may be."""

    retry_after: float


Plan = Use | Fetch | Wait | Pause | Unknown | Unavailable


@dataclass(frozen=True, slots=True)
class KeyCache:
    """What is known of the keys.

    Attributes:
        fetched_at: when the fetch that brought the keys began.
        tried_at: when the last fetch ended.
        missed: the last that succeeded did not bring the key it was for.
        failures: how many failed since one succeeded.
    """

    rules: CacheRules = field(default_factory=CacheRules)
    keys: KeySet | None = None
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")
    missed: bool = False
    failures: int = 0

    def plan(self, kid: str, now: float, *, in_flight: bool) -> Plan:
        """What to do about a token that says it was signed with `kid`."""
        known = self.keys if self.keys is not None and self.keys.find(kid) is not None else None
        age = now - self.fetched_at
        if known is not None and age < self.rules.ttl:
            return Use(known)
        usable = known if age < self.rules.ttl + self.rules.stale else None
        if in_flight:
            return Wait() if usable is None else Use(usable)
        left = self.tried_at + self._wait() - now
        if left <= 0:
            return Fetch()
        if usable is not None:
            return Use(usable)
        if self.failures:
            return Unavailable(left)
        return Unknown() if self.missed else Pause(left)

    def fetched(self, keys: KeySet, *, kid: str, begun: float, ended: float) -> "KeyCache":
        """After a fetch for `kid` that brought `keys`: they take the place of the ones before."""
        return replace(
            self,
            keys=keys,
            fetched_at=begun,
            tried_at=ended,
            missed=keys.find(kid) is None,
            failures=0,
        )

    def failed(self, *, ended: float) -> "KeyCache":
        """After a fetch that did not."""
        return replace(self, tried_at=ended, failures=self.failures + 1)

    def _wait(self) -> float:
        """How long after the last fetch the next may begin."""
        rules = self.rules
        if self.failures:
            doublings = min(self.failures - 1, _MAX_DOUBLINGS)
            return min(rules.interval * 2.0**doublings, rules.longest_wait)
        return rules.interval if self.missed else rules.shortest
