"""What the STS answers to services that run apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.links import is_chain, split_chain
from caracal.tokens.mandates import unverified_routing, verify_chain, verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal.wire.endpoints import endpoint_path
from caracal_server.ports.clock import Clock
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.ports.peers import LiveAuthority, ResourceMandates
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.peers.feed import Feed
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.messages import (
    Done,
    Minted,
    MintForResource,
    PublishedKeys,
    ZoneNamed,
    decode,
)
from caracal_server.web.peers.services import PERMISSIONS, Ask, Service

_GATEWAY_ONLY: Final = frozenset({MandateClass.GATEWAY})
_ACCESS_ONLY: Final = frozenset({MandateClass.ACCESS})


class KeyMaker(VerifyingKeys, Protocol):
    """Whoever holds the zones' signing keys."""

    def zones(self) -> Sequence[ZoneId]: ...

    def retiring_until(self, zone_id: ZoneId) -> datetime | None: ...

    async def ensure(self, zone_id: ZoneId) -> object: ...

    async def rotate(self, zone_id: ZoneId) -> object: ...


class PublishedKeySets:
    """The zones' key sets, and the feed of their changes."""

    def __init__(self, keys: KeyMaker, clock: Clock, instance: str, bound: float) -> None:
        self._keys = keys
        expected = PERMISSIONS[Ask.FOLLOW_KEY_SETS].callers
        self.feed: Feed[ZoneId] = Feed(instance, clock, bound, expected, self._whole, self._part)

    async def ensure(self, zone_id: ZoneId) -> None:
        """Make a zone's first key; return once everybody who verifies has it."""
        before = self._keys.key_set(zone_id)
        await self._keys.ensure(zone_id)
        if before is None:
            self.feed.publish(zone_id)
        await self.feed.spread()

    async def rotate(self, zone_id: ZoneId) -> None:
        """Make a zone's next key; return once everybody who verifies has it."""
        try:
            await self._keys.rotate(zone_id)
        finally:
            # What fails may have been stored; a zone without a key has nothing to publish.
            if self._keys.key_set(zone_id) is not None:
                self.feed.publish(zone_id)
        await self.feed.spread()

    def _whole(self, service: Service) -> tuple[PublishedKeys, ...]:
        return tuple(self._part(service, zone_id) for zone_id in self._keys.zones())

    def _part(self, _service: Service, zone_id: ZoneId) -> PublishedKeys:
        keys = self._keys.key_set(zone_id)
        if keys is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone has no signing key")
        until = self._keys.retiring_until(zone_id) if keys.retiring else None
        return PublishedKeys(zone_id, keys.jwks().decode(), until)


@dataclass(frozen=True, slots=True)
class StsPeerApi:
    """The answers; `answers` is the table."""

    clock: Clock
    keys: VerifyingKeys
    published: PublishedKeySets
    mandates: ResourceMandates
    authority: LiveAuthority
    issuer: str
    gateway: str
    zones: ZoneDirectory

    def answers(self) -> tuple[Answer, ...]:
        return (
            Answer(Ask.FOLLOW_KEY_SETS, self.published.feed.answer),
            Answer(Ask.ENSURE_ZONE_KEY, self.ensure),
            Answer(Ask.ROTATE_ZONE_KEY, self.rotate),
            Answer(Ask.MINT_FOR_RESOURCE, self.mint_for_resource),
        )

    async def ensure(self, _caller: Service, body: bytes) -> Done:
        await self.published.ensure(decode(body, ZoneNamed).zone_id)
        return Done()

    async def rotate(self, _caller: Service, body: bytes) -> Done:
        await self.published.rotate(decode(body, ZoneNamed).zone_id)
        return Done()

    async def mint_for_resource(self, _caller: Service, body: bytes) -> Minted:
        """Sign a resource mandate for the bearer of a gateway mandate, which is proven here again.

        A Gateway that was taken over gets nothing but what agents' own mandates lead to.

        Raises:
            Unavailable: the token proves nothing, its authority has ended, or the zone has no key.
        """
        asked = decode(body, MintForResource)
        raw, now = RawToken(asked.token.encode("latin-1", "replace")), self.clock.now()
        try:
            zone_id = unverified_routing(_first(raw)).zone_id
            keys = self.keys.key_set(zone_id)
            if keys is None:
                raise _unproven()
            mandate = self._proven(raw, keys, zone_id, asked.audience, now)
            if self.authority.revocation(mandate) is not None:
                raise _unproven()
            if asked.audience not in mandate.resources:
                raise _unproven()
            token = await self.mandates.mint_for_resource(
                mandate, asked.audience, token=raw, now=now
            )
        except TokenRefused as refused:
            raise Unavailable(Reason.CREDENTIAL_UNAVAILABLE, refused.detail) from None
        return Minted(token)

    def _proven(
        self, raw: RawToken, keys: KeySet, zone_id: ZoneId, resource: str, now: datetime
    ) -> Mandate:
        """The mandate that the Gateway was shown: one for a call, or one for the resource's endpoint."""
        zone = self.zones.zone(zone_id)
        named = None if zone is None else zone.resource(resource)
        audience, classes = self.issuer, _GATEWAY_ONLY
        if zone is not None and named is not None and named.endpoint and _is_access(raw):
            audience = self.gateway + endpoint_path(zone.name, named.endpoint)
            classes = _ACCESS_ONLY
        prove = verify_chain if is_chain(raw) else verify_mandate
        return prove(
            raw,
            keys=keys,
            issuer=self.issuer,
            zone_id=zone_id,
            mandate_classes=classes,
            audience=audience,
            now=now,
        ).mandate


def _first(raw: RawToken) -> RawToken:
    """The mandate itself, of one that was narrowed by its holders."""
    return split_chain(raw)[0] if is_chain(raw) else raw


def _is_access(raw: RawToken) -> bool:
    """What the token says of itself: it only chooses which of two proofs it has to pass."""
    return not is_chain(raw) and unverified_routing(raw).use == MandateClass.ACCESS


def _unproven() -> Unavailable:
    return Unavailable(Reason.CREDENTIAL_UNAVAILABLE, "the presented mandate proves nothing")
