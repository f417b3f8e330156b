"""Single questions to peers, as the ports that services know."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from starlette.requests import Request

from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.ports.keys import StoredSigningKey
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.peers import OpenedSession, WantedSession
from caracal_server.ports.tools import Observation
from caracal_server.web.bearer import bearer_token
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.peers.messages import (
    ClientSessionOpened,
    Done,
    Minted,
    MintForResource,
    OperatorProof,
    ProveOperator,
    RemoveApplication,
    ResealedKeys,
    ToolsSeen,
    ZoneCounts,
    ZoneNamed,
)
from caracal_server.web.peers.services import Ask

COUNT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class RemoteOperators:
    """Implements `web.operators.Authenticate`: Control knows the operators. Nothing is remembered."""

    control: PeerChannel

    async def __call__(self, request: Request, scope: OperatorScope) -> OperatorIdentity | Refused:
        """Find out who operates.

        Raises:
            Unavailable: Control can not be reached.
        """
        token = bearer_token(request.scope["headers"])
        if isinstance(token, Refused):
            if token.reason is Reason.HEADER_DUPLICATE:
                return token
            return Refused(Reason.OPERATOR_UNKNOWN, token.detail)
        digest = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        proof = await self.control.ask(
            Ask.PROVE_OPERATOR, ProveOperator(digest, scope), OperatorProof
        )
        if proof.refused is not None:
            return Refused(proof.refused.reason, proof.refused.detail)
        return OperatorIdentity(proof.token_id, proof.name, proof.scopes)


@dataclass(frozen=True, slots=True)
class RemoteKeyStore:
    """Implements `KeyStore`: Control keeps the signing keys, sealed."""

    control: PeerChannel

    async def load_all(self) -> tuple[StoredSigningKey, ...]:
        return await self.control.ask(Ask.LOAD_SIGNING_KEYS, Done(), tuple[StoredSigningKey, ...])

    async def add(self, key: StoredSigningKey) -> None:
        await self.control.ask(Ask.ADD_SIGNING_KEY, key, Done)

    async def replace_sealed(self, sealed: Mapping[str, bytes]) -> None:
        await self.control.ask(Ask.REPLACE_SIGNING_KEYS, ResealedKeys(dict(sealed)), Done)


@dataclass(frozen=True, slots=True)
class RemoteZoneKeys:
    """Implements Control's `ZoneKeys`: the STS makes the zones' signing keys."""

    sts: PeerChannel

    async def ensure(self, zone_id: ZoneId) -> None:
        await self.sts.ask(Ask.ENSURE_ZONE_KEY, ZoneNamed(zone_id), Done)

    async def rotate(self, zone_id: ZoneId) -> None:
        await self.sts.ask(Ask.ROTATE_ZONE_KEY, ZoneNamed(zone_id), Done)


@dataclass(frozen=True, slots=True)
class RemoteResourceMandates:
    """Implements `ResourceMandates`: the STS verifies the presented mandate itself, then signs."""

    sts: PeerChannel

    async def mint_for_resource(
        self,
        presented: Mandate,  # noqa: ARG002 (the port's; the STS believes the token only)
        audience: str,
        *,
        token: bytes,
        now: datetime,  # noqa: ARG002 (as above: the STS's own clock counts)
    ) -> str:
        message = MintForResource(token.decode("latin-1"), audience)
        return (await self.sts.ask(Ask.MINT_FOR_RESOURCE, message, Minted)).token


@dataclass(frozen=True, slots=True)
class RemoteToolReports:
    """Implements `ToolReports`: Control keeps what is known of tools."""

    control: PeerChannel

    async def report(self, zone_id: ZoneId, seen: tuple[Observation, ...]) -> None:
        await self.control.ask(Ask.REPORT_TOOLS, ToolsSeen(zone_id, seen), Done)


@dataclass(frozen=True, slots=True)
class RemoteRemoval:
    """Implements Control's `OnApplicationRemoved`: the Coordinator ends what the application holds."""

    coordinator: PeerChannel

    async def __call__(self, zone_id: ZoneId, application_id: ApplicationId) -> None:
        message = RemoveApplication(zone_id, application_id)
        await self.coordinator.ask(Ask.REMOVE_APPLICATION, message, Done)


@dataclass(frozen=True, slots=True)
class RemoteClientSessions:
    """Implements `ClientSessions`: the Coordinator answers once whoever follows it knows the session."""

    coordinator: PeerChannel

    async def open(self, wanted: WantedSession) -> OpenedSession | Refused:
        answer = await self.coordinator.ask(Ask.OPEN_CLIENT_SESSION, wanted, ClientSessionOpened)
        if answer.opened is not None:
            return answer.opened
        if answer.refused is None:
            raise Unavailable(Reason.PEER_UNAVAILABLE, "the Coordinator answered nothing")
        return Refused(answer.refused.reason, answer.refused.detail)


@dataclass(slots=True)
class RemoteCounts:
    """What the Coordinator last said of how much is live; for the eyes of operators only."""

    coordinator: PeerChannel
    _counts: ZoneCounts = field(default_factory=lambda: ZoneCounts({}), init=False)

    def __call__(self, zone_id: ZoneId) -> dict[str, int]:
        return self._counts.zones.get(zone_id, {})

    async def run(self) -> None:
        """Ask every second until cancelled."""
        while True:
            try:
                self._counts = await self.coordinator.ask(Ask.COUNT_GRAPH, Done(), ZoneCounts)
            except Unavailable:
                self._counts = ZoneCounts({})
            await asyncio.sleep(COUNT_SECONDS)
