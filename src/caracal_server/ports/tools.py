"""What MCP servers say of their tools, on its way from the Gateway to who keeps it."""

from datetime import datetime
from typing import Protocol

import msgspec

from caracal.authority.identifiers import ResourceId, ZoneId
from caracal.authority.tool_pins import Definition


class Observation(msgspec.Struct, frozen=True):
    """A definition that is not known yet, as a server listed it."""

    resource: ResourceId
    definition: Definition
    at: datetime


class ToolReports(Protocol):
    """Control, as the Gateway sees it."""

    async def report(self, zone_id: ZoneId, seen: tuple[Observation, ...]) -> None:
        """Keep what was seen, in order; once it returns, the zones of every service hold it.

        What does not fit the zone any more is left out. Saying it twice changes nothing.

        Raises:
            Unavailable: it may not have been kept; report it again.
        """
        ...
