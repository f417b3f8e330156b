"""The flags of a command: within bounds, known, and as the fields of a body."""

from collections.abc import Mapping
from typing import Final

from caracal_server.control.document_body import read_plain
from caracal_server.control.invoke.answers import Code, CommandRefused
from caracal_server.control.invoke.catalog import Command, Flag, Kind
from caracal_server.control.invoke.inside import Json
from caracal_server.web.problems import RequestRefused

MAX_FLAGS: Final = 32
MAX_KEY: Final = 64
MAX_TEXT: Final = 131_072
MAX_ITEMS: Final = 64

Value = str | int | float | bool | None
Flags = Mapping[str, Value | list[Value]]


def check_flags(flags: Flags) -> None:
    """Hold flags to their bounds.

    Raises:
        CommandRefused: one of them is beyond.
    """
    if len(flags) > MAX_FLAGS:
        raise _invalid(f"at most {MAX_FLAGS} flags")
    for name, value in flags.items():
        if not 1 <= len(name) <= MAX_KEY:
            raise _invalid(f"the name of a flag has 1 to {MAX_KEY} characters")
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_ITEMS:
            raise _invalid(f"{name}: at most {MAX_ITEMS} values")
        if any(isinstance(one, str) and len(one) > MAX_TEXT for one in values):
            raise _invalid(f"{name}: at most {MAX_TEXT} characters")


def body_of(command: Command, flags: Flags) -> dict[str, Json]:
    """The flags as the body of the command's request.

    Raises:
        CommandRefused: a flag is not known, or not what it should be.
    """
    known = {flag.name: flag for flag in command.flags}
    for name in flags:
        if name not in known:
            raise _invalid(f"{command.command} {command.subcommand} has no flag {name}")
    return {
        known[name].field: _field(known[name], value)
        for name, value in flags.items()
        if known[name].field
    }


def text_of(flags: Flags, name: str) -> str:
    """A flag that has to be there and a text.

    Raises:
        CommandRefused: it is not.
    """
    value = flags.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(f"the flag {name} is missing")
    return value


def json_of(flags: Flags, name: str) -> Json:
    """A flag that has to be there and JSON.

    Raises:
        CommandRefused: it is not.
    """
    return _json(name, text_of(flags, name))


def switch_of(flags: Flags, name: str) -> bool:
    """A flag that is on or off; off when it is not there.

    Raises:
        CommandRefused: it is neither.
    """
    value = flags.get(name, False)
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise _invalid(f"{name}: want true or false")
    return value


def _field(flag: Flag, value: Value | list[Value]) -> Json:
    match flag.kind:
        case Kind.JSON:
            return _json(flag.name, value) if isinstance(value, str) else value
        case Kind.LIST:
            return _listed(value)
        case Kind.IDS:
            return [{"policy_version_id": one} for one in _listed(value)]
        case Kind.TEXT:
            return value


def _listed(value: Value | list[Value]) -> list[Value]:
    if isinstance(value, str):
        return [one.strip() for one in value.split(",") if one.strip()]
    return value if isinstance(value, list) else [value]


def _json(name: str, text: str) -> Json:
    try:
        return read_plain(text.encode())
    except RequestRefused:
        raise _invalid(f"{name}: want JSON in which no key stands twice") from None


def _invalid(reason: str) -> CommandRefused:
    return CommandRefused(Code.INVALID, reason)
