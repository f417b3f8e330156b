"""What one service asks of another. In one process a local adapter answers, else an HTTP one."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from caracal.authority.identifiers import SessionId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.revocation import Revocation
from caracal.authority.sessions import Session


class ResourceMandates(Protocol):
    """The STS, as the Gateway sees it: it signs what the Gateway never could."""

    async def mint_for_resource(
        self, presented: Mandate, audience: str, *, token: bytes, now: datetime
    ) -> str:
        """A resource mandate that descends from a gateway mandate the Gateway has admitted.

        Args:
            presented: that mandate, as the Gateway has proven it.
            audience: the resource server.
            token: the bytes that it was presented as, for who does not believe the Gateway.
            now: UTC.

        Raises:
            TokenRefused: verifiers would not read it, or the token does not prove what it should.
            Unavailable: the STS can not be reached, or has no key.
        """
        ...


class LiveAuthority(Protocol):
    """The Coordinator, as the Gateway sees it."""

    def revocation(self, mandate: Mandate) -> Revocation | None:
        """The revocation that covers a mandate, if any.

        Raises:
            Unavailable: the view is older than its bound; refuse.
        """
        ...

    def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None: ...

    def subscribe(self, zone_id: ZoneId, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every revocation in a zone; returns what ends the subscription."""
        ...
