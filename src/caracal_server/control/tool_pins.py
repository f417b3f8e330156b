"""What is known of the definitions of MCP servers' tools: kept, and accepted by operators."""

import asyncio
from dataclasses import dataclass, replace

from caracal.authority.events import Kind
from caracal.authority.identifiers import ResourceId, ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.tool_pins import MAX_PINS, ToolPin, after_accepting, after_seeing
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.publication import Publication
from caracal_server.ports.tools import Observation
from caracal_server.ports.zones import ZoneRecord

_TURN_SECONDS = 0.05
_TURNS = 40
"""How often a report tries to get its turn, before it is to be made again."""


@dataclass(frozen=True, slots=True)
class KeepTools:
    """Implements `ToolReports`. Each change is a revision of the zone, in effect before it returns."""

    publication: Publication

    async def report(self, zone_id: ZoneId, seen: tuple[Observation, ...]) -> None:
        zone = self.publication.directory.zone(zone_id)
        if zone is None:
            return
        for _ in range(_TURNS):
            if self.publication.take_turn(zone.name) is None:
                break
            await asyncio.sleep(_TURN_SECONDS)
        else:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone is being changed: report again")
        try:
            record = await self.publication.find(zone.name)
            changed = None if record is None else _with_seen(record, seen)
            if record is None or changed is None:
                return
            refused = await self.publication.publish(changed, expected_revision=record.revision)
        finally:
            self.publication.end_turn(zone.name)
        if refused is not None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, refused.detail)


def _with_seen(record: ZoneRecord, seen: tuple[Observation, ...]) -> ZoneRecord | None:
    pins = {(pin.resource, pin.tool): pin for pin in record.tool_pins}
    resources = {entry.id: entry for entry in record.resources}
    changed = False
    for one in seen:
        resource, tool = resources.get(one.resource), one.definition.tool
        if resource is None or resource.tools.match(tool) is None:
            continue
        before = pins.get((resource.id, tool))
        if before is None and _count(pins, resource.id) >= MAX_PINS:
            continue
        pin = after_seeing(resource.definitions, before, resource.id, one.definition, at=one.at)
        if pin is not None:
            pins[resource.id, tool] = pin
            changed = True
    if not changed:
        return None
    return replace(record, revision=record.revision + 1, tool_pins=tuple(pins.values()))


def _count(pins: dict[tuple[ResourceId, str], ToolPin], resource_id: ResourceId) -> int:
    return sum(1 for owner, _ in pins if owner == resource_id)


@dataclass(frozen=True, slots=True)
class AcceptTool:
    """Puts a definition that an operator has seen in force. Recorded before it takes effect."""

    publication: Publication
    acts: ActLog

    async def __call__(
        self, zone: str, resource: str, tool: str, digest: str, act: Act
    ) -> ToolPin | Refused:
        """Accept a definition.

        Args:
            zone: the zone's name.
            resource: the identifier of the resource.
            tool: its name.
            digest: of the definition that was looked at: the held one, or the one in force.
            act: on whose behalf.

        Returns:
            `Refused` when no such definition is known any more; nothing changed.

        Raises:
            Unavailable: evidence or store can not be reached; try again.
        """
        refused = self.publication.take_turn(zone)
        if refused is not None:
            return refused
        try:
            return await self._accept(zone, resource, tool, digest, act)
        finally:
            self.publication.end_turn(zone)

    async def _accept(
        self, zone: str, resource: str, tool: str, digest: str, act: Act
    ) -> ToolPin | Refused:
        record = await self.publication.find(zone)
        if record is None:
            return Refused(Reason.ZONE_UNKNOWN, "there is no zone of that id or name")
        pin = find_pin(record, resource, tool)
        if pin is None:
            return Refused(Reason.TOOL_UNKNOWN, f"{resource} has listed no tool {tool}")
        accepted = after_accepting(pin, digest, act.actor)
        if isinstance(accepted, Refused):
            return accepted
        await self.acts.record(
            Kind.TOOL_ACCEPT,
            record.id,
            act,
            target=f"{resource} {tool}",
            detail=f"accept the definition of {tool}",
            digest=digest,
        )
        pins = tuple(accepted if one is pin else one for one in record.tool_pins)
        changed = replace(record, revision=record.revision + 1, tool_pins=pins)
        refused = await self.publication.publish(changed, expected_revision=record.revision)
        return accepted if refused is None else refused


def find_pin(record: ZoneRecord, resource: str, tool: str) -> ToolPin | None:
    """What is known of a tool of the resource with that identifier."""
    ids = {entry.id for entry in record.resources if entry.identifier == resource}
    return next((pin for pin in record.tool_pins if pin.resource in ids and pin.tool == tool), None)


def kept_pins(record: ZoneRecord | None, after: ZoneRecord) -> tuple[ToolPin, ...]:
    """The pins of a zone that outlast its next revision: of tools that may still be called."""
    if record is None:
        return ()
    tools = {entry.id: entry.tools for entry in after.resources}
    return tuple(
        pin
        for pin in record.tool_pins
        if pin.resource in tools and tools[pin.resource].match(pin.tool) is not None
    )
