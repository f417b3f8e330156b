"""Running the register's checks."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from assurance.checks import NotRunHere, find
from assurance.register import Area, Control, Status


class Result(msgspec.Struct, frozen=True):
    """What one check answered.

    Attributes:
        wrong: what it found, nothing when the claim holds.
        skipped: why it could not run on this machine.
    """

    check: str
    seconds: float
    wrong: tuple[str, ...] = ()
    skipped: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """A control and what its checks answered."""

    control: Control
    results: tuple[Result, ...]

    @property
    def broken(self) -> bool:
        return any(result.wrong for result in self.results)

    @property
    def standing(self) -> str:
        """The status that the checks bear out."""
        if self.broken:
            return "Broken"
        if self.control.status is Status.IMPLEMENTED and self.unseen:
            return "Implemented, part not seen"
        return self.control.status.value

    @property
    def unseen(self) -> bool:
        """Whether something of it was not looked at: a check was skipped."""
        return any(result.skipped for result in self.results)


def run_check(name: str, root: Path) -> Result:
    started = time.monotonic()
    wrong: tuple[str, ...] = ()
    skipped = ""
    try:
        wrong = tuple(find(name)(root))
    except NotRunHere as reason:
        skipped = str(reason)
    except Exception as fault:  # noqa: BLE001 (a check that breaks has shown nothing)
        wrong = (f"the check itself failed: {type(fault).__name__}: {fault}",)
    return Result(name, time.monotonic() - started, wrong, skipped)


def run(areas: Iterable[Area], root: Path, only: Sequence[str] = ()) -> list[Verdict]:
    """Run every check once, however many controls rest on it."""
    controls = [
        control
        for area in areas
        for control in area.control
        if not only or control.id in only or set(control.checks) & set(only)
    ]
    names = sorted({name for control in controls for name in control.checks})
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(names, pool.map(lambda name: run_check(name, root), names), strict=True))
    return [Verdict(control, tuple(found[name] for name in control.checks)) for control in controls]
