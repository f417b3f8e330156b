"""Definitions of tools as they pass by: held to what is known, at once, and reported to who keeps them."""

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from caracal.authority.admission import AdmittedCall
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.identifiers import ResourceId, ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.authority.tool_pins import MAX_PINS, Definition, Pinning, ToolPin, after_seeing
from caracal.authority.zones import Zone
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.tools import Observation, ToolReports

RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger("caracal.gateway")


@dataclass(slots=True)
class _Unreported:
    """What was seen in one zone and is not kept yet, and the pins as they will be."""

    seen: list[Observation] = field(default_factory=list)
    pins: dict[tuple[ResourceId, str], ToolPin] = field(default_factory=dict)


@dataclass(slots=True)
class Definitions:
    """What this Gateway has seen, laid over what the zone knows, until the zone knows it too."""

    clock: Clock
    evidence: EvidenceLog
    reports: ToolReports
    _unreported: dict[ZoneId, _Unreported] = field(default_factory=dict, init=False)
    _reporting: asyncio.Task[None] | None = field(default=None, init=False)

    def over(self, zone: Zone) -> Zone:
        """The zone with what was seen just now."""
        unreported = self._unreported.get(zone.id)
        if unreported is None:
            return zone
        return replace(zone, tool_pins={**zone.tool_pins, **unreported.pins})

    def see(
        self, zone: Zone, call: Entry, admitted: AdmittedCall, listed: tuple[Definition, ...]
    ) -> Collection[str]:
        """Take note of a list that comes back from a server.

        Returns:
            The names of tools that can not be pinned, and must not be shown: their definition is too
            large, or there are too many.
        """
        resource = zone.resources.get(admitted.resource.identifier)
        if resource is None:
            return tuple(one.tool for one in listed)
        if resource.definitions is Pinning.OFF:
            return ()
        hidden: set[str] = set()
        pins = self.over(zone).tool_pins
        room = MAX_PINS - sum(1 for owner, _ in pins if owner == resource.id)
        for one in listed:
            if resource.tools.match(one.tool) is None:
                continue
            before = pins.get((resource.id, one.tool))
            if not one.text or (before is None and room <= 0):
                hidden.add(one.tool)
                continue
            pin = after_seeing(resource.definitions, before, resource.id, one, at=self.clock.now())
            if pin is not None:
                room -= before is None
                self._note(zone.id, pin, one, call, changed=before is not None)
        if hidden:
            _log.warning("tools_not_shown", resource=resource.identifier, count=len(hidden))
        return hidden

    def _note(
        self, zone_id: ZoneId, pin: ToolPin, seen: Definition, call: Entry, *, changed: bool
    ) -> None:
        unreported = self._unreported.setdefault(zone_id, _Unreported())
        unreported.seen.append(Observation(pin.resource, seen, self.clock.now()))
        unreported.pins[pin.resource, pin.tool] = pin
        self._record(pin, seen, call, changed=changed)
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.create_task(self._report())

    def _record(self, pin: ToolPin, seen: Definition, call: Entry, *, changed: bool) -> None:
        detail = f"{pin.tool} was {pin.digest} before" if changed else ""
        entry = Entry(
            format=ENTRY_FORMAT,
            kind=Kind.TOOL_CHANGED if changed else Kind.TOOL_SEEN,
            zone=call.zone,
            at=self.clock.now_us(),
            request=call.request,
            detail=detail,
            application=call.application,
            application_name=call.application_name,
            session=call.session,
            resource=call.resource,
            mandate=call.mandate,
            target=pin.tool,
            digest=seen.digest,
        )
        try:
            self.evidence.enqueue(entry)
        except Unavailable as fault:
            _log.error("tool_not_recorded", tool=pin.tool, why=fault.reason.value)

    async def _report(self) -> None:
        """Report until nothing is left."""
        while self._unreported:
            for zone_id in list(self._unreported):
                await self._report_zone(zone_id)
            if self._unreported:
                await asyncio.sleep(RETRY_SECONDS)

    async def _report_zone(self, zone_id: ZoneId) -> None:
        unreported = self._unreported[zone_id]
        told = tuple(unreported.seen)
        try:
            await self.reports.report(zone_id, told)
        except Unavailable as fault:
            _log.warning("tools_not_kept", zone=zone_id, why=fault.detail)
            return
        del unreported.seen[: len(told)]
        open_ = {(one.resource, one.definition.tool) for one in unreported.seen}
        unreported.pins = {key: pin for key, pin in unreported.pins.items() if key in open_}
        if not unreported.seen:
            del self._unreported[zone_id]

    async def aclose(self) -> None:
        """Report once more what is left; what can not be kept is seen again."""
        if self._reporting is not None:
            self._reporting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reporting
        for zone_id in list(self._unreported):
            await self._report_zone(zone_id)
