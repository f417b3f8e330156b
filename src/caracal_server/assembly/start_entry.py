"""The entry that every later one is to be read beside: which release ran, and with which settings."""

import hashlib
from importlib.metadata import version
from typing import Any, Final

import msgspec

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import SYSTEM_LOG

RELEASE: Final = version("caracal")


def start_entry(clock: Clock, entropy: Entropy, settings: dict[str, Any], target: str) -> Entry:
    """The entry; `target` is what starts."""
    shown = {name: str(value) for name, value in sorted(settings.items())}
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.SERVICE_START,
        zone=SYSTEM_LOG,
        at=clock.now_us(),
        request=entropy.new_id(),
        target=target,
        detail=f"release {RELEASE}",
        digest=hashlib.sha256(msgspec.json.encode(shown)).hexdigest(),
    )
