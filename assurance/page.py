"""The readiness page, rendered from the register."""

from collections.abc import Iterable

from assurance.checks import proves
from assurance.register import Area, Control, Status

PATH = "docs/security/enterprise-readiness.md"

_HEAD = """\
# Enterprise readiness

Generated from `assurance/controls/` by `make assurance ARGS=--write`; do not edit. `make assurance` holds
every row against its checks and fails when one no longer holds, and every check has a test that plants
a violation and sees it caught.

| status | means |
|---|---|
| Implemented | enforced in code, build or pipeline; the checks named in its row prove it on every run |
| Documented | the project states it, and it rests on settings that a repository cannot show |
| Planned | intended and not there; the row says what is missing |
| Not claimed | nobody independent has verified it, so nothing is asserted |
"""


def render(areas: Iterable[Area]) -> str:
    listed = tuple(areas)
    parts = [_HEAD, _summary(listed)]
    for area in listed:
        parts.append(f"## {area.area}\n")
        parts.extend(map(_row, area.control))
    return "\n".join(parts)


def _summary(areas: Iterable[Area]) -> str:
    lines = ["## At a glance\n", "| control | area | what | status |", "|---|---|---|---|"]
    lines += [
        f"| [{row.id}](#{row.id.lower()}) | {area.area} | {row.title} | {row.status} |"
        for area in areas
        for row in area.control
    ]
    return "\n".join(lines) + "\n"


def _row(row: Control) -> str:
    lines = [f"### {row.id}\n", f"**{row.title}.** {row.status}. Owner: {row.owner}.\n", row.says]
    if row.missing:
        label = "Why not" if row.status is Status.NOT_CLAIMED else "Missing"
        lines += ["", f"{label}: {row.missing}"]
    lines += ["", f"Look at: {row.look}"]
    if row.checks:
        lines += ["", "Held by:", ""]
        lines += [f"- `{name}`: {proves(name)}" for name in row.checks]
    return "\n".join(lines) + "\n"
