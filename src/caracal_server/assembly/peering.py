"""What one service needs to speak with its peers, from its settings and its keys."""

import ipaddress
import ssl
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from math import ceil
from typing import Any, Final

from caracal.authority.outcomes import Reason
from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.http.client import PooledUpstreamClient, verifying_context
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.adapters.peers.evidence import RemoteEvidence
from caracal_server.adapters.peers.follower import Follower, Take
from caracal_server.adapters.peers.keys import FILE, PeerKeys
from caracal_server.assembly.data_directory import DataDirectory
from caracal_server.assembly.listeners import Certificate
from caracal_server.assembly.settings import PREFIX, SettingInvalid
from caracal_server.ports.upstream import UpstreamTimeouts
from caracal_server.web.peers.gate import Answer, PeerGate
from caracal_server.web.peers.services import (
    Ask,
    PeerName,
    Service,
    asked_by,
    peer_name,
    shard_of,
)

CONNECT_SECONDS: Final = 2
ANSWER_SECONDS: Final = 15
"""Audit gives a commit 10 seconds, and then says no itself."""
FOLLOW_SECONDS: Final = 5
"""More than an owner holds a follower's question, by far."""


def peer_certificate(settings: dict[str, Any], host: str) -> Certificate | None:
    """What the peer listener at `host` serves TLS with.

    Raises:
        SettingInvalid: one of the two files is missing, or there is no TLS where there must be.
    """
    chain, key = settings["PEER_TLS_CERTIFICATE_FILE"], settings["PEER_TLS_KEY_FILE"]
    if (chain is None) != (key is None):
        raise SettingInvalid(
            f"{PREFIX}PEER_TLS_CERTIFICATE_FILE and {PREFIX}PEER_TLS_KEY_FILE go together"
        )
    if chain is not None:
        return Certificate(chain, key)
    if not _this_machine(host) and not settings["UNSAFE_PEER_NO_TLS"]:
        raise SettingInvalid(
            f"{PREFIX}PEER_TLS_CERTIFICATE_FILE must be set to listen for peers on {host}"
        )
    return None


class Peering:
    """The channels of one service to those that it asks, and how it follows them."""

    def __init__(
        self,
        service: Service,
        directory: DataDirectory,
        settings: dict[str, Any],
        clock: SystemClock,
        entropy: SystemEntropy,
    ) -> None:
        """Read the keys and the addresses of the peers; nothing is asked yet.

        Raises:
            KeyFileError: a key is missing, or not the one that is listed.
            SettingInvalid: the address of a peer can not be used.
        """
        self.service = service
        self._shard: str = settings["SHARD"]
        self.me = self._audit if service is Service.AUDIT else peer_name(service)
        self.instance = entropy.new_id()
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self.keys = PeerKeys.load(
            self.me,
            settings["PEER_KEY_FILE"] or directory.keys / FILE,
            settings["PEERS_FILE"] or directory.root / "peers",
        )
        self._urls = {self._named(peer): _url(peer, settings) for peer in asked_by(service)}
        shards: dict[str, str] = settings["SHARDS"]
        if service is Service.AUDIT and self._shard and shards:
            raise SettingInvalid(f"{PREFIX}SHARDS: a shard has none of its own")
        if service is Service.AUDIT:
            self._urls |= {
                peer_name(service, name): _url_of(text, settings, "SHARDS")
                for name, text in shards.items()
            }
        for peer in self._urls:
            if peer not in self.keys.sending:
                raise SettingInvalid(f"{PREFIX}PEERS_FILE lists no key of {peer}")
        guard = EgressGuard(PrivateEgress.parse(",".join(map(_place, self._urls.values()))))
        tls = _tls(settings)
        self._asking = PooledUpstreamClient(guard, timeouts=_timeouts(ANSWER_SECONDS), tls=tls)
        self._following = PooledUpstreamClient(guard, timeouts=_timeouts(FOLLOW_SECONDS), tls=tls)
        longest = max(self.graph_bound, self.configuration_bound)
        patient = _timeouts(ANSWER_SECONDS + ceil(longest))
        self._changing = PooledUpstreamClient(guard, timeouts=patient, tls=tls)
        self._followers: list[Follower] = []

    @property
    def graph_bound(self) -> float:
        seconds: float = self._settings["GRAPH_STALE_SECONDS"].total_seconds()
        return seconds

    @property
    def configuration_bound(self) -> float:
        seconds: float = self._settings["CONFIGURATION_STALE_SECONDS"].total_seconds()
        return seconds

    def channel(
        self, peer: Service, reason: Reason = Reason.PEER_UNAVAILABLE, *, follows: bool = False
    ) -> PeerChannel:
        """A way to ask one peer; `reason` is what callers are told when it can not be reached."""
        named = self._named(peer)
        return self._channel(named, reason, self._following if follows else self._asking)

    def changing_channel(self, peer: Service) -> PeerChannel:
        """The same for changes, which a peer answers once all its followers have them."""
        return self._channel(peer_name(peer), Reason.PEER_UNAVAILABLE, self._changing)

    def shard_channels(self) -> dict[str, PeerChannel]:
        """A way to ask each shard of this Audit, by its name; none if it is a shard itself."""
        return {
            shard_of(peer): self._channel(peer, Reason.PEER_UNAVAILABLE, self._asking)
            for peer in self._urls
            if shard_of(peer) and self.service is Service.AUDIT
        }

    @property
    def _audit(self) -> PeerName:
        """What records what this process does, or what it is if it is Audit."""
        return peer_name(Service.AUDIT, self._shard)

    def _named(self, peer: Service) -> PeerName:
        return self._audit if peer is Service.AUDIT else peer_name(peer)

    def _channel(self, peer: PeerName, reason: Reason, client: PooledUpstreamClient) -> PeerChannel:
        return PeerChannel(
            me=self.me,
            peer=peer,
            key=self.keys.sending[peer],
            url=self._urls[peer],
            client=client,
            clock=self._clock,
            entropy=self._entropy,
            reason=reason,
        )

    def evidence(self, stack: AsyncExitStack) -> RemoteEvidence:
        """The way to Audit's log, until the process drains."""
        channel = self.channel(Service.AUDIT, Reason.EVIDENCE_UNAVAILABLE)
        evidence = RemoteEvidence(channel, self.instance)
        evidence.start()
        stack.push_async_callback(evidence.close)
        return evidence

    def follow_graph(self, take: Take, too_old: Callable[[], None]) -> Follower:
        channel = self.channel(Service.COORDINATOR, Reason.REVOCATIONS_STALE, follows=True)
        return self._follower(channel, Ask.FOLLOW_GRAPH, self.graph_bound, take, too_old)

    def follow_zones(self, take: Take) -> Follower:
        channel = self.channel(Service.CONTROL, follows=True)
        return self._follower(channel, Ask.FOLLOW_ZONES, self.configuration_bound, take)

    def follow_key_sets(self, take: Take) -> Follower:
        channel = self.channel(Service.STS, follows=True)
        return self._follower(channel, Ask.FOLLOW_KEY_SETS, self.configuration_bound, take)

    def _follower(
        self,
        channel: PeerChannel,
        ask: Ask,
        bound: float,
        take: Take,
        too_old: Callable[[], None] = lambda: None,
    ) -> Follower:
        follower = Follower(
            channel=channel,
            ask=ask,
            reader=self.instance,
            bound=bound,
            reason=channel.reason,
            clock=self._clock,
            take=take,
            stale=too_old,
        )
        self._followers.append(follower)
        return follower

    def gate(self, answers: Iterable[Answer]) -> PeerGate:
        # A shard asks Audit nothing, and no other shard: what one holds is none of another's concern.
        keys = {
            peer: key
            for peer, key in self.keys.receiving.items()
            if not (shard_of(peer) and self.service is Service.AUDIT)
        }
        return PeerGate(self.me, keys, self._clock, answers)

    def start(self) -> None:
        """Begin to follow."""
        for follower in self._followers:
            follower.start()

    async def leave(self) -> None:
        """Stop to follow, and say so."""
        for follower in self._followers:
            await follower.close()

    async def aclose(self) -> None:
        await self._asking.aclose()
        await self._following.aclose()
        await self._changing.aclose()


def _url(peer: Service, settings: dict[str, Any]) -> UpstreamUrl:
    name = f"PEER_{peer.value.upper()}"
    return _url_of(settings[name], settings, name)


def _url_of(text: str, settings: dict[str, Any], name: str) -> UpstreamUrl:
    try:
        url = UpstreamUrl.parse(text)
    except ValueError as error:
        raise SettingInvalid(f"{PREFIX}{name}: {error}") from None
    if url.path != "/" or url.query:
        raise SettingInvalid(f"{PREFIX}{name} must be a scheme, a host and a port")
    if url.scheme == "http" and not (_this_machine(url.host) or settings["UNSAFE_PEER_NO_TLS"]):
        raise SettingInvalid(f"{PREFIX}{name} must begin with https:// to reach another machine")
    return url


def _place(url: UpstreamUrl) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}"


def _this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(settings: dict[str, Any]) -> ssl.SSLContext:
    """What peers are verified with: the operator's certificates alone, where there are any."""
    file = settings["PEER_TLS_CA_FILE"]
    if file is None:
        return verifying_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cafile=file)
    return context


def _timeouts(seconds: int) -> UpstreamTimeouts:
    whole = timedelta(seconds=seconds)
    connect = timedelta(seconds=CONNECT_SECONDS)
    return UpstreamTimeouts(connect=connect, first_byte=whole, idle=whole, total=whole)
