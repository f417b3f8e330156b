"""Refusals that anyone can cause: recorded, but only so many of them."""

from dataclasses import dataclass
from typing import Final

import msgspec
from prometheus_client import Counter

from caracal.authority.events import Entry
from caracal.authority.outcomes import Unavailable
from caracal.authority.zones import Zone
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog

PER_SECOND: Final = 20


@dataclass(slots=True)
class _Window:
    since: float
    recorded: int = 0
    left_out: int = 0


class UnprovenRefusals:
    """Records at most so many refusals a second and zone, for requests whose sender is not proven.

    Whoever knows a zone's id can cause them without end; they must neither fill the disk nor crowd out
    other entries. Refusals of a proven mandate, such as a replayed one, have a bound of their own, so
    that forged tokens can not hide them. What is left out is counted, and the next entry that is
    recorded says how many.
    """

    def __init__(
        self,
        evidence: EvidenceLog,
        clock: Clock,
        unrecorded: Counter,
        *,
        per_second: int = PER_SECOND,
    ) -> None:
        self._evidence = evidence
        self._clock = clock
        self._unrecorded = unrecorded
        self._per_second = per_second
        self._windows: dict[tuple[str, bool], _Window] = {}

    def record(self, entry: Entry) -> None:
        """Record soon, or count. Nobody waits for it, and nothing is done on its strength.

        Args:
            entry: of a zone that exists, so that the zones remembered here are few; it names a mandate
                only when that was proven.
        """
        now = self._clock.monotonic()
        window = self._windows.setdefault((entry.zone, bool(entry.mandate)), _Window(now))
        if now - window.since >= 1:
            window.since, window.recorded = now, 0
        if window.recorded >= self._per_second:
            self._leave_out(window)
            return
        if window.left_out:
            detail = (
                f"{entry.detail} ({window.left_out} refusals before this one were not recorded)"
            )
            entry = msgspec.structs.replace(entry, detail=detail)
        try:
            self._evidence.enqueue(entry)
        except Unavailable:
            self._leave_out(window)
            return
        window.recorded += 1
        window.left_out = 0

    def _leave_out(self, window: _Window) -> None:
        window.left_out += 1
        self._unrecorded.inc()


def policy_digest(zone: Zone) -> str:
    """The digest of the policy version in force; `""` when there is none."""
    return "" if zone.policy is None else zone.policy.digest
