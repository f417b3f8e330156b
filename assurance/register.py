"""The rows of the register, and the rules a row must keep before anything is run."""

import tomllib
from enum import StrEnum
from pathlib import Path

import msgspec

CONTROLS = Path(__file__).parent / "controls"


class RegisterFault(Exception):
    """A row claims more than it may."""


class Status(StrEnum):
    """What the project says of a control; only `IMPLEMENTED` rests on the repository alone."""

    IMPLEMENTED = "Implemented"
    DOCUMENTED = "Documented"
    PLANNED = "Planned"
    NOT_CLAIMED = "Not claimed"


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row.

    Attributes:
        id: such as `SA-1`; never used again for another control.
        says: the claim, in words that its checks bear out.
        look: where an outsider can see for themselves.
        checks: `module.function` below `assurance.checks`, each of which must hold.
        missing: what is not there yet, or why nothing is claimed.
    """

    id: str
    title: str
    status: Status
    owner: str
    says: str
    look: str
    checks: tuple[str, ...] = ()
    missing: str = ""


class Area(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the register: what its controls are about, and where it stands on the page."""

    area: str
    order: int
    control: tuple[Control, ...]


def load(folder: Path = CONTROLS) -> tuple[Area, ...]:
    """Read every area.

    Raises:
        RegisterFault: a file is malformed, or a row claims more than it may.
    """
    areas = sorted(map(_read, sorted(folder.glob("*.toml"))), key=lambda area: area.order)
    rows = [control for area in areas for control in area.control]
    if len({row.id for row in rows}) != len(rows):
        raise RegisterFault("two controls share an id")
    for row in rows:
        _require_honest(row)
    return tuple(areas)


def _read(file: Path) -> Area:
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), Area)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RegisterFault(f"{file.name}: {error}") from None


def _require_honest(row: Control) -> None:
    if row.status is Status.IMPLEMENTED and not row.checks:
        raise RegisterFault(f"{row.id} is called implemented, and nothing checks it")
    if row.status in {Status.PLANNED, Status.NOT_CLAIMED} and not row.missing:
        raise RegisterFault(f"{row.id} does not say what is missing")
    if not (row.says.strip() and row.look.strip() and row.owner.strip()):
        raise RegisterFault(f"{row.id} leaves out what it says, where to look or who owns it")
