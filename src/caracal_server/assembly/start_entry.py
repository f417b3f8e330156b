"""The entry that every later one of a process points to: what ran, with which settings and policies."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from msgspec.structs import replace

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.zones import Zone
from caracal.evidence.canonical import canonical_json
from caracal_server.assembly.installed import installed
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import SYSTEM_LOG, EvidenceLog, Receipt

RELEASE: Final = version("caracal")


@dataclass(frozen=True, slots=True)
class InstanceLog:
    """The log as one process writes to it: each entry names the instance. Implements `EvidenceLog`.

    Attributes:
        instance: the `request` of the process's start entry.
    """

    log: EvidenceLog
    instance: str

    async def append(self, entry: Entry) -> Receipt:
        return await self.log.append(replace(entry, instance=self.instance))

    def enqueue(self, entry: Entry) -> None:
        self.log.enqueue(replace(entry, instance=self.instance))


def start_entry(
    clock: Clock,
    instance: str,
    settings: Mapping[str, Any],
    target: str,
    zones: Iterable[Zone] | None,
) -> Entry:
    """The entry; `target` is what starts, `zones` those whose policies it decides by, if it does."""
    found = installed()
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.SERVICE_START,
        zone=SYSTEM_LOG,
        at=clock.now_us(),
        request=instance,
        target=target,
        detail=f"release {RELEASE}",
        digest=settings_digest(settings),
        code=found.digest,
        code_state=found.state.value,
        policy="" if zones is None else policies_digest(zones),
    )


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a JSON object, setting to text. Secrets are not in it: settings name their files."""
    shown = {name: _shown(value) for name, value in settings.items()}
    return hashlib.sha256(canonical_json(shown)).hexdigest()


def policies_digest(zones: Iterable[Zone]) -> str:
    """Hex SHA-256 of a JSON object (RFC 8785), zone id to the digest of its policy; empty without one."""
    digests = {str(zone.id): "" if zone.policy is None else zone.policy.digest for zone in zones}
    return hashlib.sha256(canonical_json(digests)).hexdigest()


def _shown(value: object) -> str:
    if isinstance(value, frozenset | set):
        return " ".join(sorted(map(str, value)))
    return str(value)
