"""Definitions of an MCP server's tools, pinned: what an agent was told about a tool stays what it was.

A definition is known by the digest of all of it. One that changes is held: until an operator accepts it
the tool is neither listed nor called.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from caracal.authority.identifiers import ResourceId
from caracal.authority.outcomes import Reason, Refused

MAX_DEFINITION_BYTES: Final = 32 * 1024
MAX_PINS: Final = 500
"""Of one resource."""


class Pinning(StrEnum):
    """Which definitions of a resource's tools are in force."""

    FIRST_USE = "first_use"
    """The first that is seen, until an operator accepts another."""
    ACCEPTED = "accepted"
    """Only what an operator has accepted."""
    OFF = "off"
    """Whatever the server says."""


class Definition(msgspec.Struct, frozen=True):
    """A tool's definition: `digest` is the SHA-256, in hex, of `text`, its RFC 8785 form."""

    tool: str
    digest: str
    text: str


class ToolPin(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a tool.

    Attributes:
        digest, text: of the definition in force; empty when there is none yet.
        held, held_text: of the definition that an operator has to accept first.
        seen_at: when a definition of the tool was seen first.
        accepted_by: who accepted the one in force; empty when it was the first seen.
    """

    resource: ResourceId
    tool: str
    digest: str = ""
    text: str = ""
    held: str = ""
    held_text: str = ""
    seen_at: datetime
    accepted_by: str = ""


Pins = Mapping[tuple[ResourceId, str], ToolPin]


def after_seeing(
    pinning: Pinning,
    pin: ToolPin | None,
    resource: ResourceId,
    seen: Definition,
    *,
    at: datetime,
) -> ToolPin | None:
    """The tool's pin from now on; `None` when there is nothing new.

    While one definition is held the next ones are not taken up: an operator decides on what was shown.
    """
    if pinning is Pinning.OFF:
        return None
    if pin is None:
        if pinning is Pinning.FIRST_USE:
            return ToolPin(
                resource=resource, tool=seen.tool, digest=seen.digest, text=seen.text, seen_at=at
            )
        return ToolPin(
            resource=resource, tool=seen.tool, held=seen.digest, held_text=seen.text, seen_at=at
        )
    if pin.held or seen.digest == pin.digest:
        return None
    return replace(pin, held=seen.digest, held_text=seen.text)


def after_accepting(pin: ToolPin, digest: str, by: str) -> ToolPin | Refused:
    """The pin once somebody has accepted a definition by its digest: the held one, or the one in force."""
    if pin.held and digest == pin.held:
        return replace(
            pin, digest=pin.held, text=pin.held_text, held="", held_text="", accepted_by=by
        )
    if pin.digest and digest == pin.digest:
        return replace(pin, held="", held_text="", accepted_by=by)
    return Refused(
        Reason.TOOL_DEFINITION_CHANGED, f"no definition of {pin.tool} has this digest: look again"
    )


def refused_for(pinning: Pinning, pin: ToolPin | None, tool: str) -> Refused | None:
    """Why a tool can be neither listed nor called now, if it can not.

    A tool that was never listed has no pin: nobody was told anything about it that could have changed.
    """
    if pinning is Pinning.OFF:
        return None
    if pin is not None and pin.held and pin.digest:
        return Refused(
            Reason.TOOL_DEFINITION_CHANGED,
            f"the server defines {tool} otherwise than before: an operator has to accept it",
        )
    known = pin is not None and pin.digest and (pin.accepted_by or pinning is Pinning.FIRST_USE)
    if known or (pin is None and pinning is Pinning.FIRST_USE):
        return None
    return Refused(
        Reason.TOOL_DEFINITION_UNACCEPTED, f"no operator has accepted a definition of {tool}"
    )
