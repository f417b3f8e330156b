"""When a workflow runs: how often its schedule comes round, and whether each change starts it."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

from assurance.workflow_files import FOLDER, workflow

_FIRST = date(2024, 1, 1)
_DAYS = 4 * 366
"""Four years hold every length of a month and every start of a week in it."""


def longest_gap(crons: Iterable[str]) -> int:
    """The most days that pass between two starts of any of the schedules; a huge number without one.

    Raises:
        ValueError: a schedule has a form that is not understood.
    """
    split = [cron.split() for cron in crons]
    days = [
        number
        for number in range(_DAYS)
        if any(_falls_on(fields, _FIRST + timedelta(number)) for fields in split)
    ]
    return max((later - earlier for earlier, later in pairwise(days)), default=_DAYS)


def _falls_on(fields: list[str], day: date) -> bool:
    _, _, of_month, month, of_week = fields
    if not _matches(month, day.month, 1, 12):
        return False
    in_month, in_week = (
        _matches(of_month, day.day, 1, 31),
        _matches(of_week, day.isoweekday() % 7, 0, 6),
    )
    # When both are given, cron takes either.
    either = not (of_month.startswith("*") or of_week.startswith("*"))
    return (in_month or in_week) if either else (in_month and in_week)


def _matches(field: str, value: int, low: int, high: int) -> bool:
    return any(value in _range(part, low, high) for part in field.split(","))


def _range(part: str, low: int, high: int) -> range:
    span, _, step = part.partition("/")
    start, _, end = ("", "", "") if span == "*" else span.partition("-")
    first = int(start) if start else low
    last = int(end) if end else high if span == "*" or step else first
    return range(first, last + 1, int(step) if step else 1)


def wrong_with_the_times(root: Path, file: str, days: int) -> Iterator[str]:
    """Yield what keeps a workflow from running on every change and every so many days.

    Raises:
        WorkflowFault: a workflow is absent or malformed.
    """
    found, tested = workflow(root, file), workflow(root, "test.yml")
    if longest_gap(found.crons()) > days:
        yield f"{file} does not run every {days} days"
    if "workflow_call" not in found.on or not any(
        job.uses == f"./{FOLDER}/{file}" and not job.if_ for job in tested.jobs.values()
    ):
        yield f"test.yml does not call {file}"
    pushed = tested.on.get("push") or {}
    if "pull_request" not in tested.on or "main" not in pushed.get("branches", ()):
        yield "test.yml does not run on every change of main"
    for event in ("pull_request", "push"):
        narrowed = set(tested.on.get(event) or {}) & {
            "paths",
            "paths-ignore",
            "types",
            "branches-ignore",
        }
        if narrowed:
            yield f"test.yml: {event} is narrowed by {', '.join(sorted(narrowed))}"
