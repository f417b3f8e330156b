"""Who a verified request is from."""

from dataclasses import dataclass
from datetime import datetime

from caracal.authority.mandates import Hop, Mandate, Origin
from caracal.authority.subjects import User


@dataclass(frozen=True, slots=True)
class Principal:
    """What a verified mandate says, under the names that an application wants.

    Attributes:
        mandate: all of it.
    """

    mandate: Mandate

    @property
    def subject(self) -> str:
        """For whom the work is done: an application's id, or a user's name."""
        return self.mandate.subject

    @property
    def user(self) -> User | None:
        """The user, with who vouches for them; their name alone is never a key."""
        return self.mandate.user

    @property
    def application_id(self) -> str:
        """The application that acts."""
        return self.mandate.application_id

    @property
    def zone_id(self) -> str:
        return self.mandate.zone_id

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.mandate.scopes.scopes)

    @property
    def targets(self) -> tuple[str, ...]:
        return self.mandate.resources

    @property
    def session_id(self) -> str | None:
        return self.mandate.session_id

    @property
    def delegation_id(self) -> str | None:
        return self.mandate.delegation_id

    @property
    def chain(self) -> tuple[Hop, ...]:
        """Who handed the authority on, root first, the one that acts last."""
        return self.mandate.chain

    @property
    def hop_count(self) -> int:
        """How often it was handed on: by delegations, and by holders who narrowed it."""
        return self.mandate.hops

    @property
    def origins(self) -> tuple[Origin, ...]:
        """What holders narrowed it from, and the thumbprints of their keys; mostly empty."""
        return self.mandate.origins

    @property
    def expires_at(self) -> datetime:
        return self.mandate.expires_at

    def has_scope(self, scope: str) -> bool:
        return scope in self.mandate.scopes
