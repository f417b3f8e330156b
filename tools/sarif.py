"""Fail when an analysis found something serious, so that its results do more than lie there.

Usage: python -m tools.sarif FOLDER

Serious is what the analysis calls an error, and what a rule gives a severity of 7.0 or more. A folder
without results, or with results of no run, has shown nothing and fails too. It needs no installation.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SERIOUS = 7.0


def serious(folder: Path) -> Iterator[str]:
    """Yield what is serious in the results of a folder, or why they show nothing."""
    files = sorted(folder.rglob("*.sarif"))
    if not files:
        yield f"{folder} holds no results"
    for file in files:
        try:
            runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
            if not runs:
                yield f"{file.name} holds no run"
            for run in runs:
                yield from _of_run(run)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            yield f"{file.name} is no SARIF: {type(fault).__name__}"


def _of_run(run: Mapping[str, Any]) -> Iterator[str]:
    tool = run["tool"]
    rules = {
        rule["id"]: rule
        for part in (tool["driver"], *tool.get("extensions", ()))
        for rule in part.get("rules", ())
    }
    for result in run["results"]:
        name = result.get("ruleId") or result["rule"]["id"]
        rule = rules.get(name, {})
        default = rule.get("defaultConfiguration", {}).get("level", "warning")
        severity = float(rule.get("properties", {}).get("security-severity", 0))
        if result.get("suppressions"):
            continue
        if result.get("level", default) == "error" or severity >= SERIOUS:
            yield f"{name}: {_place(result)}: {result['message'].get('text', '')}"


def _place(result: Mapping[str, Any]) -> str:
    for location in result.get("locations", ()):
        physical = location.get("physicalLocation", {})
        line = physical.get("region", {}).get("startLine", 0)
        return f"{physical.get('artifactLocation', {}).get('uri', '?')}:{line}"
    return "?"


def main() -> int:
    found = list(serious(Path(sys.argv[1])))
    print("\n".join(found) if found else "nothing serious")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
