"""Limits that a grant carries beside its scopes."""

from dataclasses import dataclass
from datetime import timedelta

from caracal.authority.resources import ResourceUri

MAX_HOPS = 10
DEFAULT_HOPS = 1
MAX_RESOURCES = 64
MAX_BUDGET = 64
MAX_TTL = timedelta(days=1)
MAX_REASON = 256


@dataclass(frozen=True, slots=True)
class Constraints:
    """What bounds a delegated grant.

    Attributes:
        resources: the only resources it reaches; `None` means any (a broad grant).
        hops: how many delegations, this one included, the chain may still hold: 1 to 10.
        max_ttl: the longest life of a mandate minted from it.
        budget: a static bound that a child may only lower: 1 to 64.
        reason: why a broad grant was made, up to 256 characters.
    """

    resources: frozenset[ResourceUri] | None
    hops: int = DEFAULT_HOPS
    max_ttl: timedelta | None = None
    budget: int | None = None
    reason: str = ""

    @property
    def broad(self) -> bool:
        return self.resources is None

    def reach(self, resource: ResourceUri) -> bool:
        return self.resources is None or resource in self.resources
