"""The five services, and who of them may ask what of whom. A question that is not here is not answered."""

import re
from enum import StrEnum
from typing import Final, NamedTuple, NewType


class Service(StrEnum):
    STS = "sts"
    GATEWAY = "gateway"
    COORDINATOR = "coordinator"
    AUDIT = "audit"
    CONTROL = "control"


PeerName = NewType("PeerName", str)
"""What a peer proves to be: a service, or a shard of Audit, which is called `audit.<shard>`."""

_SHARD: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")


def is_shard(text: str) -> bool:
    """Whether a shard may be called so: a letter, then up to 19 of `a-z 0-9 -`."""
    return _SHARD.fullmatch(text) is not None


def peer_name(service: Service, shard: str = "") -> PeerName:
    """The name of a service's process; only Audit has shards."""
    return PeerName(f"{service}.{shard}" if shard else service.value)


def parse_peer(text: str) -> PeerName:
    """Read a name.

    Raises:
        ValueError: it is neither a service nor a shard of Audit.
    """
    service, dot, shard = text.partition(".")
    if dot and not (service == Service.AUDIT and is_shard(shard)):
        raise ValueError(f"{text[:40]!r} is no peer")
    return peer_name(Service(service), shard)


def service_of(peer: PeerName) -> Service:
    return Service(peer.partition(".")[0])


def shard_of(peer: PeerName) -> str:
    """The shard that a peer is; empty for every other one."""
    return peer.partition(".")[2]


ALIVE: Final = "/peer/1/alive"
"""Every peer listener answers this to every proven peer."""


class Permission(NamedTuple):
    """Who answers a question, and who may ask it."""

    of: Service
    callers: frozenset[Service]


class Ask(StrEnum):
    """Paths of the peer API, version 1, below `/peer/1/`. Never reused."""

    APPEND_EVIDENCE = "evidence/append"
    FOLLOW_GRAPH = "graph/follow"
    COUNT_GRAPH = "graph/count"
    REMOVE_APPLICATION = "applications/remove"
    OPEN_CLIENT_SESSION = "client-sessions/open"
    FOLLOW_ZONES = "zones/follow"
    PROVE_OPERATOR = "operators/prove"
    LOAD_SIGNING_KEYS = "signing-keys/load"
    ADD_SIGNING_KEY = "signing-keys/add"
    REPLACE_SIGNING_KEYS = "signing-keys/replace"
    FOLLOW_KEY_SETS = "key-sets/follow"
    REPORT_TOOLS = "tools/report"
    ENSURE_ZONE_KEY = "zone-keys/ensure"
    ROTATE_ZONE_KEY = "zone-keys/rotate"
    MINT_FOR_RESOURCE = "mandates/resource"
    SHARD_CHECKPOINTS = "shard/checkpoints"
    SEARCH_SHARD = "shard/search"
    SHARD_RECEIPT = "shard/receipt"
    SHRED_IN_SHARD = "shard/shred"

    @property
    def path(self) -> str:
        return f"/peer/1/{self.value}"


def _may(of: Service, *callers: Service) -> Permission:
    return Permission(of, frozenset(callers))


PERMISSIONS: Final = {
    Ask.APPEND_EVIDENCE: _may(
        Service.AUDIT, Service.STS, Service.GATEWAY, Service.COORDINATOR, Service.CONTROL
    ),
    Ask.FOLLOW_GRAPH: _may(Service.COORDINATOR, Service.STS, Service.GATEWAY),
    Ask.COUNT_GRAPH: _may(Service.COORDINATOR, Service.CONTROL),
    Ask.REMOVE_APPLICATION: _may(Service.COORDINATOR, Service.CONTROL),
    Ask.OPEN_CLIENT_SESSION: _may(Service.COORDINATOR, Service.STS),
    Ask.FOLLOW_ZONES: _may(Service.CONTROL, Service.STS, Service.GATEWAY, Service.COORDINATOR),
    Ask.PROVE_OPERATOR: _may(Service.CONTROL, Service.COORDINATOR, Service.AUDIT),
    Ask.LOAD_SIGNING_KEYS: _may(Service.CONTROL, Service.STS),
    Ask.ADD_SIGNING_KEY: _may(Service.CONTROL, Service.STS),
    Ask.REPLACE_SIGNING_KEYS: _may(Service.CONTROL, Service.STS),
    Ask.FOLLOW_KEY_SETS: _may(Service.STS, Service.GATEWAY, Service.COORDINATOR),
    Ask.REPORT_TOOLS: _may(Service.CONTROL, Service.GATEWAY),
    Ask.ENSURE_ZONE_KEY: _may(Service.STS, Service.CONTROL),
    Ask.ROTATE_ZONE_KEY: _may(Service.STS, Service.CONTROL),
    Ask.MINT_FOR_RESOURCE: _may(Service.STS, Service.GATEWAY),
    # Of shards, by the Audit that they belong to: a shard takes no question from another one.
    Ask.SHARD_CHECKPOINTS: _may(Service.AUDIT, Service.AUDIT),
    Ask.SEARCH_SHARD: _may(Service.AUDIT, Service.AUDIT),
    Ask.SHARD_RECEIPT: _may(Service.AUDIT, Service.AUDIT),
    Ask.SHRED_IN_SHARD: _may(Service.AUDIT, Service.AUDIT),
}


def asked_by(service: Service) -> frozenset[Service]:
    """The other services that one asks anything of."""
    asked = {one.of for one in PERMISSIONS.values() if service in one.callers}
    return frozenset(asked - {service})
