"""Grants: authority that somebody holds."""

from dataclasses import dataclass
from datetime import datetime

from caracal.authority.constraints import Constraints
from caracal.authority.scopes import ScopeSet


@dataclass(frozen=True, slots=True)
class Grant:
    """Scopes on resources, within limits, until an instant (UTC)."""

    scopes: ScopeSet
    constraints: Constraints
    expires_at: datetime

    def live(self, now: datetime) -> bool:
        return now < self.expires_at
