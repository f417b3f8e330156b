"""The data documents of zones, their versions, and the sets of versions that can be put into effect.

What stands here decides nothing: a set does once it was activated, as the policy of its zone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from caracal.authority.identifiers import ZoneId


class ItemKind(StrEnum):
    POLICY = "policy"
    POLICY_VERSION = "policy_version"
    SET = "set"
    SET_VERSION = "set_version"
    GRANT = "grant"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a zone's library; it never changes.

    Attributes:
        parent: the id of what a version is one of; empty for what is no version.
        name: unique among those of its kind and parent; the number of a version, from 1.
        digest: SHA-256 of the text, in hex.
    """

    id: str
    zone_id: ZoneId
    kind: ItemKind
    parent: str
    name: str
    digest: str
    created_at: datetime


class PolicyLibrary(Protocol):
    """Where they are kept. Every change is whole and durable once its method returns.

    Raises:
        Unavailable: it is not known what was stored.
    """

    async def items(self, zone_id: ZoneId) -> tuple[Item, ...]:
        """All of a zone, without their texts, oldest first."""
        ...

    async def texts(self, zone_id: ZoneId, ids: Collection[str]) -> Mapping[str, str]:
        """The texts of those of them that there are, by id."""
        ...

    async def add(self, items: Mapping[Item, str]) -> bool:
        """Add items with their texts, all or none; `False`, and none, when a name is taken."""
        ...

    async def remove(self, zone_id: ZoneId, ids: Collection[str]) -> None:
        """Remove items; no matter whether they are there."""
        ...
