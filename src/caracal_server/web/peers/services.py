"""The five services, and who of them may ask what of whom. A question that is not here is not answered."""

from enum import StrEnum
from typing import Final, NamedTuple


class Service(StrEnum):
    STS = "sts"
    GATEWAY = "gateway"
    COORDINATOR = "coordinator"
    AUDIT = "audit"
    CONTROL = "control"


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
    FOLLOW_ZONES = "zones/follow"
    PROVE_OPERATOR = "operators/prove"
    LOAD_SIGNING_KEYS = "signing-keys/load"
    ADD_SIGNING_KEY = "signing-keys/add"
    REPLACE_SIGNING_KEYS = "signing-keys/replace"
    FOLLOW_KEY_SETS = "key-sets/follow"
    ENSURE_ZONE_KEY = "zone-keys/ensure"
    ROTATE_ZONE_KEY = "zone-keys/rotate"
    MINT_FOR_RESOURCE = "mandates/resource"

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
    Ask.FOLLOW_ZONES: _may(Service.CONTROL, Service.STS, Service.GATEWAY, Service.COORDINATOR),
    Ask.PROVE_OPERATOR: _may(Service.CONTROL, Service.COORDINATOR, Service.AUDIT),
    Ask.LOAD_SIGNING_KEYS: _may(Service.CONTROL, Service.STS),
    Ask.ADD_SIGNING_KEY: _may(Service.CONTROL, Service.STS),
    Ask.REPLACE_SIGNING_KEYS: _may(Service.CONTROL, Service.STS),
    Ask.FOLLOW_KEY_SETS: _may(Service.STS, Service.GATEWAY, Service.COORDINATOR),
    Ask.ENSURE_ZONE_KEY: _may(Service.STS, Service.CONTROL),
    Ask.ROTATE_ZONE_KEY: _may(Service.STS, Service.CONTROL),
    Ask.MINT_FOR_RESOURCE: _may(Service.STS, Service.GATEWAY),
}


def asked_by(service: Service) -> frozenset[Service]:
    """The services that one asks anything of."""
    return frozenset(one.of for one in PERMISSIONS.values() if service in one.callers)
