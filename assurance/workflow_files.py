"""The forge's workflows, read as plain text and lists, with what every check asks of them."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

FOLDER: Final = Path(".github/workflows")
ACTIONS: Final = Path("assurance/actions.toml")


class WorkflowFault(Exception):
    """A workflow, or the list of actions, can not be read."""


class Kind(StrEnum):
    """What an action does, which decides what its job may hold."""

    PLUMBING = "plumbing"
    SCANNER = "scanner"
    RESULTS = "results"
    PUBLISHER = "publisher"


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action that workflows may use, at one commit."""

    name: str
    version: str
    commit: str
    kind: Kind


class _Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: tuple[Action, ...]


class Step(msgspec.Struct, frozen=True, rename={"with_": "with", "if_": "if"}):
    """A step; whatever else it has, the schema has judged."""

    name: str = ""
    id: str = ""
    uses: str = ""
    run: str = ""
    if_: str = ""
    with_: Mapping[str, str] = {}
    env: Mapping[str, str] = {}

    @property
    def action(self) -> str:
        """The name of the action it uses; empty when it uses none."""
        return self.uses.partition("@")[0]


class Job(msgspec.Struct, frozen=True, rename="kebab"):
    """A job; `permissions` is None when it says nothing of them."""

    name: str = ""
    if_: str = msgspec.field(name="if", default="")
    uses: str = ""
    needs: str | tuple[str, ...] = ()
    environment: str | Mapping[str, str] = ""
    runs_on: str = ""
    timeout_minutes: str = ""
    permissions: str | Mapping[str, str] | None = None
    env: Mapping[str, str] = {}
    steps: tuple[Step, ...] = ()
    container: Any = None
    services: Mapping[str, Any] = {}
    secrets: Any = None
    strategy: Mapping[str, Any] = {}
    continue_on_error: str = ""

    @property
    def waits_for(self) -> tuple[str, ...]:
        return (self.needs,) if isinstance(self.needs, str) else self.needs

    @property
    def granted(self) -> Mapping[str, str]:
        """The permissions it names."""
        return self.permissions if isinstance(self.permissions, Mapping) else {}

    @property
    def writes(self) -> frozenset[str]:
        """What it may write; everything, when it does not say or says it all at once."""
        if not isinstance(self.permissions, Mapping):
            return frozenset() if self.permissions == "read-all" else frozenset({"everything"})
        return frozenset(name for name, level in self.permissions.items() if level == "write")

    def kinds(self, actions: Mapping[str, Action]) -> frozenset[Kind]:
        """What its actions do; one that is not listed counts as a scanner, as anything unknown does."""
        used = (step.action for step in self.steps if step.uses)
        return frozenset(actions[name].kind if name in actions else Kind.SCANNER for name in used)


class Workflow(msgspec.Struct, frozen=True, dict=True):
    """A workflow file."""

    file: str
    text: str
    on: Mapping[str, Any]
    permissions: str | Mapping[str, str] | None
    jobs: Mapping[str, Job]

    @cached_property
    def reads_secrets(self) -> bool:
        return "secrets." in self.text or "secrets[" in self.text

    def crons(self) -> Iterator[str]:
        """The times at which it is started."""
        for entry in self.on.get("schedule") or ():
            yield entry["cron"]

    def using(self, action: str) -> Iterator[tuple[str, Step]]:
        """The steps that use an action, each with its job's name."""
        for name, job in self.jobs.items():
            for step in job.steps:
                if step.action == action:
                    yield name, step

    def before(self, job: str) -> frozenset[str]:
        """Every job that must have succeeded before this one starts."""
        direct = self.jobs[job].waits_for if job in self.jobs else ()
        return frozenset(direct).union(*(self.before(one) for one in direct))

    def raw(self, job: str) -> str:
        """A job as it is written, to look for what no field shows."""
        found = re.search(rf"^  {re.escape(job)}:\n(?:(?:    .*|\s*)\n)*", self.text, re.MULTILINE)
        return found[0] if found else ""


def workflows(root: Path) -> tuple[Workflow, ...]:
    """Read every workflow of a tree.

    Raises:
        WorkflowFault: there is none, or one is malformed.
    """
    files = sorted((root / FOLDER).glob("*.y*ml"))
    if not files:
        raise WorkflowFault(f"{FOLDER} holds no workflow")
    return tuple(map(_read, files))


def workflow(root: Path, name: str) -> Workflow:
    """Read one workflow.

    Raises:
        WorkflowFault: it is absent or malformed.
    """
    file = root / FOLDER / name
    if not file.exists():
        raise WorkflowFault(f"there is no {FOLDER}/{name}")
    return _read(file)


def actions(root: Path) -> Mapping[str, Action]:
    """The list of actions, by name.

    Raises:
        WorkflowFault: it is malformed, or names one twice.
    """
    try:
        listed = msgspec.convert(tomllib.loads((root / ACTIONS).read_text()), _Listed).action
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise WorkflowFault(f"{ACTIONS}: {fault}") from None
    by_name = {one.name: one for one in listed}
    if len(by_name) != len(listed):
        raise WorkflowFault(f"{ACTIONS} names an action twice")
    return by_name


def _read(file: Path) -> Workflow:
    text = file.read_text(encoding="utf-8")
    try:
        # Everything stays text: `on` is no truth value, and 3.10 no number.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (BaseLoader makes no objects)
        on = content["on"]
        jobs = msgspec.convert(content["jobs"], dict[str, Job])
    except (yaml.YAMLError, msgspec.ValidationError, KeyError, TypeError) as fault:
        raise WorkflowFault(f"{file.name}: {fault}") from None
    if not isinstance(on, Mapping):
        on = dict.fromkeys([on] if isinstance(on, str) else on, "")
    return Workflow(file.name, text, on, content.get("permissions"), jobs)
