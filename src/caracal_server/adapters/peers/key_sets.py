"""The zones' public keys as the STS publishes them, in step with it or refused."""

from datetime import datetime

from msgspec import UNSET

from caracal.authority.identifiers import ZoneId
from caracal.tokens.keys import KeySet, parse_jwks
from caracal_server.adapters.peers.follower import Follower
from caracal_server.ports.clock import Clock
from caracal_server.web.peers.messages import Page, PublishedKeys, decode


class KeySetReplica:
    """Implements `VerifyingKeys`. `follower` has to be set before anything is read.

    A zone's key set stays the same object as long as nothing changes in it.
    """

    __slots__ = ("_clock", "_sets", "follower")

    follower: Follower

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sets: dict[ZoneId, tuple[KeySet, datetime | None]] = {}

    async def take(self, page: Page) -> None:
        """Put a page into effect."""
        if page.whole is not UNSET:
            published = decode(page.whole, tuple[PublishedKeys, ...])
            self._sets = {key: one for key, one in self._sets.items() if key in _named(published)}
        else:
            published = tuple(decode(part, PublishedKeys) for part in page.changes)
        for one in published:
            keys = parse_jwks(one.jwks.encode())
            present = self._sets.get(one.zone_id)
            if present is None or present[0].jwks() != keys.jwks():
                self._sets[one.zone_id] = (keys, one.retiring_until)

    def key_set(self, zone_id: ZoneId) -> KeySet | None:
        """The keys that a zone's mandates are verified with.

        Raises:
            Unavailable: the view is older than its bound.
        """
        self.follower.require_fresh()
        found = self._sets.get(zone_id)
        if found is None:
            return None
        keys, until = found
        if keys.retiring and until is not None and until <= self._clock.now():
            keys = KeySet(keys.active, keys.retiring[:-1])
            self._sets[zone_id] = (keys, None)
        return keys


def _named(published: tuple[PublishedKeys, ...]) -> set[ZoneId]:
    return {one.zone_id for one in published}
