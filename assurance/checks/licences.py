"""Licences: an allow list over everything that is locked."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import yaml
from packaging.markers import Marker

from assurance.checks import NotRunHere
from assurance.licences import (
    LIST,
    Answer,
    Excepted,
    Installed,
    Policy,
    environment_of,
    expression_of,
    installed,
    shipped,
)
from assurance.locks import LockFault, Pin, pins


def every_locked_licence_is_admitted(root: Path) -> Sequence[str]:
    """Every locked distribution's licence is known and on the allow list, and no exception ships."""
    try:
        policy = Policy.read(root)
        locked = pins(root)
    except (LockFault, msgspec.ValidationError, tomllib.TOMLDecodeError) as fault:
        return [str(fault)]
    missing = sorted({pin.lock for pin in locked if not installed(environment_of(pin.lock))})
    if missing:
        raise NotRunHere(f"not installed: {', '.join(missing)}; make assurance installs them")
    judge = _Judge(policy)
    wrong = sorted({text for pin in locked for text in judge.wrong_with(pin)})
    return [*wrong, *judge.left_over(locked), *_excepted_and_shipped(root, policy, locked)]


def the_list_is_sound(root: Path) -> Sequence[str]:
    """The list holds SPDX ids, no copyleft beyond MPL-2.0, and a reason for each exception."""
    try:
        policy = Policy.read(root)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as fault:
        return [str(fault)]
    wrong = [
        f"{name} is on the allow list, and is copyleft or no open licence"
        for name in sorted(policy.allow)
        if name.upper().startswith(_NEVER)
    ]
    wrong += [f"{name}: only MPL-2.0 may be weak" for name in sorted(policy.weak - {"MPL-2.0"})]
    for name in sorted(policy.allow | policy.weak | set(policy.words.values())):
        if expression_of((name,), {}) != name:
            wrong.append(f"{name} is not an SPDX id")
    argued = [(one.name, one.why) for one in policy.answer]
    argued += [(one.name, one.reason) for one in policy.exception]
    wrong += [f"{name}: no reason is given" for name, why in argued if len(why) < _SHORTEST_REASON]
    return wrong


def the_review_has_the_same_list(root: Path) -> Sequence[str]:
    """The review of newly introduced dependencies admits exactly the licences of this list."""
    try:
        policy = Policy.read(root)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as fault:
        return [str(fault)]
    ours = policy.allow | policy.weak
    lists = dict(_reviewed(root))
    if not lists:
        return [f"no workflow uses {_REVIEW}"]
    return [
        f"{name}: allow-licenses differs from {LIST} in {', '.join(sorted(theirs ^ ours))}"
        for name, theirs in lists.items()
        if theirs != ours
    ]


_REVIEW = "actions/dependency-review-action"


def _reviewed(root: Path) -> Iterator[tuple[str, frozenset[str]]]:
    for file in sorted((root / ".github/workflows").glob("*.y*ml")):
        workflow = yaml.safe_load(file.read_text()) or {}
        for job in workflow.get("jobs", {}).values():
            for step in job.get("steps", ()):
                if str(step.get("uses", "")).startswith(f"{_REVIEW}@"):
                    yield file.name, _listed(root, step.get("with", {}))


def _listed(root: Path, given: dict[str, object]) -> frozenset[str]:
    found = given.get("allow-licenses", "")
    if not found and "config-file" in given:
        config = yaml.safe_load((root / str(given["config-file"])).read_text())
        found = config.get("allow-licenses", "")
    words = found if isinstance(found, list) else str(found).replace("\n", ",").split(",")
    return frozenset(str(word).strip() for word in words if str(word).strip())


_NEVER = ("GPL", "LGPL", "AGPL", "SSPL", "BUSL", "EUPL", "OSL", "CPAL", "CC-BY-NC", "RPL", "MPL")
_SHORTEST_REASON = 12


class _Judge:
    """Looks each pin up, and remembers which answers and exceptions it needed."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._used: set[Answer | Excepted] = set()

    def wrong_with(self, pin: Pin) -> Iterator[str]:
        found = installed(environment_of(pin.lock)).get(pin.name)
        here = found is not None and found.version == pin.version
        if not here and _applies(pin):
            held = found.version if found else "nothing"
            yield f"{pin.name} {pin.version} ({pin.lock}): licence unknown, {held} of it is installed"
            return
        expression = self._expression(pin, found if here else None)
        if not expression:
            said = " / ".join(found.says) if found and here else "not installed here"
            text = (found.text if found and here else "") or f"version:{pin.version}"
            yield f"{pin.name} {pin.version} ({pin.lock}): licence unknown ({said[:60]}; {text})"
        elif not self._admitted(pin, expression):
            yield f"{pin.name} {pin.version} ({pin.lock}): {expression} is not on the allow list"

    def left_over(self, locked: Sequence[Pin]) -> Iterator[str]:
        # On another platform, or with another interpreter, the metadata themselves are read.
        elsewhere = {(pin.name, f"version:{pin.version}") for pin in locked if pin.marker}
        excepted_elsewhere = {(pin.name, pin.lock) for pin in locked if pin.marker}
        left = [
            one.name
            for one in self._policy.answer
            if one not in self._used and (one.name, one.read) not in elsewhere
        ]
        left += [
            one.name
            for one in self._policy.exception
            if one not in self._used and (one.name, one.lock) not in excepted_elsewhere
        ]
        yield from (f"{name}: its entry in {LIST} is needed by nothing" for name in left)

    def _expression(self, pin: Pin, found: Installed | None) -> str:
        known = expression_of(found.says, self._policy.words) if found else ""
        if known:
            return known
        for answer in self._policy.answer:
            if answer.name == pin.name and answer.read in _readings(pin, found):
                self._used.add(answer)
                return answer.licence
        return ""

    def _admitted(self, pin: Pin, expression: str) -> bool:
        if self._policy.admits(expression):
            return True
        for one in self._policy.exception:
            if (one.name, one.lock, one.licence) == (pin.name, pin.lock, expression):
                self._used.add(one)
                return True
        return False


def _readings(pin: Pin, found: Installed | None) -> tuple[str, ...]:
    if found is not None and found.text:
        return (found.text,)
    return (f"version:{pin.version}",)


def _applies(pin: Pin) -> bool:
    return not pin.marker or Marker(pin.marker).evaluate({"extra": ""})


def _excepted_and_shipped(root: Path, policy: Policy, locked: tuple[Pin, ...]) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = project["optional-dependencies"] | {"": project["dependencies"]}
    in_hands = shipped(policy, locked, declared)
    for one in policy.exception:
        if one.name in in_hands or one.lock in policy.shipping_locks:
            yield f"{one.name}: {one.licence} is excepted and ships"
    absent = set(policy.shipping_locks) - {pin.lock for pin in locked}
    yield from (f"{name}: a lock that should ship is not there" for name in sorted(absent))
