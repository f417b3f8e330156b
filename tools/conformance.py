"""Run the published MCP conformance suite, and write what it found into docs/conformance.md.

Usage: python -m tools.conformance     (npm installs the suite into .venv/conformance; a minute)

Fails when a scenario fails that the page has no reason for, or one passes that it has a reason for.
"""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tests.conformance.reasons import EXTENSIONS, FAILING
from tests.conformance.runs import Place, authorization, directly, place, through_the_gateway
from tests.conformance.suite import PACKAGE, REVISIONS, Found, Suite, install, locked_version
from tools.repository import ROOT

PAGE = ROOT / "docs" / "conformance.md"
FOLDER = ROOT / ".venv" / "conformance"
BEGIN, END = "<!-- begin: written by tools.conformance -->\n", "<!-- end -->\n"
WIDTH = 115


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario at one revision: what it found through Caracal, and at the MCP server by itself."""

    revision: str
    found: Found
    by_itself: Found | None

    @property
    def outcome(self) -> str:
        if self.found.scenario.startswith(EXTENSIONS):
            return "not applicable"
        return self.found.outcome

    def __str__(self) -> str:
        by_itself = "" if self.by_itself is None else f" {_counted(self.by_itself)} |"
        name = self.found.scenario
        return f"| `{name}` | {self.outcome} | {_counted(self.found)} |{by_itself}"


def _counted(found: Found) -> str:
    named = {"SUCCESS": "passed", "FAILURE": "failed", "WARNING": "warned", "SKIPPED": "skipped"}
    counts = [
        f"{found.counts[status]} {word}" for status, word in named.items() if found.counts[status]
    ]
    return ", ".join(counts) or "none"


def servers(suite: Suite, at: Place, revision: str) -> list[Row]:
    alone = {found.scenario: found for found in directly(suite, at, revision)}
    through = through_the_gateway(suite, at, revision)
    return [Row(revision, found, alone[found.scenario]) for found in through]


def authorizations(suite: Suite, at: Place, revision: str) -> list[Row]:
    return [Row(revision, found, None) for found in authorization(suite, at, revision)]


def _summary(title: str, rows: Sequence[Row]) -> str:
    counts = [
        sum(row.outcome == outcome for row in rows)
        for outcome in ("passed", "failed", "not applicable")
    ]
    return f"| {title} | {' | '.join(map(str, counts))} |"


def _wrapped(names: Sequence[str]) -> list[str]:
    said = ", ".join(f"`{name}`" for name in names)
    return textwrap.wrap(f"{said}.", WIDTH, break_on_hyphens=False, break_long_words=False)


def page(tables: dict[str, list[Row]], clients: Sequence[str], not_run: Sequence[str]) -> str:
    lines = [
        f"`{PACKAGE}` {locked_version()}:",
        "",
        "| scenarios | passed | failed | not applicable |",
        "|---|---|---|---|",
        *(_summary(title, rows) for title, rows in tables.items()),
        f"| clients | 0 | 0 | {len(clients)} |",
        f"| servers, of extensions outside both revisions | 0 | 0 | {len(not_run)} |",
    ]
    for title, rows in tables.items():
        through = " checks through the Gateway | checks of the server by itself |"
        head = " checks |" if rows[0].by_itself is None else through
        lines += ["", f"### {title[0].upper()}{title[1:]}", "", f"| scenario | outcome |{head}"]
        lines += ["|---|---|---|" + ("" if rows[0].by_itself is None else "---|")]
        lines += map(str, rows)
    failing = [
        row.found.scenario for rows in tables.values() for row in rows if row.outcome == "failed"
    ]
    lines += ["", "### Why some fail", ""]
    for name in dict.fromkeys(failing):
        said = f"`{name}`: {FAILING.get(name, 'unexplained')}"
        lines += textwrap.wrap(
            said, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
    lines += [] if failing else ["None does."]
    lines += ["", "### Scenarios of clients", "", *_wrapped(clients)]
    lines += ["", "### Scenarios of servers that neither revision runs", "", *_wrapped(not_run)]
    return "\n".join(lines) + "\n"


def main() -> int:
    suite = install(FOLDER)
    tables: dict[str, list[Row]] = {}
    with place() as at:
        for revision in REVISIONS:
            tables[f"servers, {revision}"] = servers(suite, at, revision)
        for revision in REVISIONS:
            tables[f"authorization servers, {revision}"] = authorizations(suite, at, revision)
    rows = [row for table in tables.values() for row in table]
    ran = {row.found.scenario for row in rows}
    not_run = [name for name in suite.listed("--server") if name not in ran]
    text = page(tables, suite.listed("--client"), not_run)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")
    failed = {row.found.scenario for row in rows if row.outcome == "failed"}
    for row in rows:
        if row.outcome == "failed":
            print(row.revision, row.found.scenario, *row.found.said, sep="\n  ")
    return int(failed != FAILING.keys())


if __name__ == "__main__":
    sys.exit(main())
