"""`make assurance`: hold every claim of the register against its evidence."""

import argparse
import sys
from pathlib import Path

import msgspec

from assurance import baseline, page
from assurance.register import load
from assurance.results import Verdict, run

ROOT = Path(__file__).parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m assurance", description=__doc__)
    parser.add_argument("only", nargs="*", help="ids of controls, or names of checks")
    parser.add_argument("--write", action="store_true", help="write the readiness page and end")
    parser.add_argument("--json", type=Path, help="where to write the results")
    options = parser.parse_args()
    areas = load()
    if options.write:
        (ROOT / page.PATH).write_text(page.render(areas))
        return 0
    verdicts = run(areas, ROOT, options.only)
    if not options.only:
        baseline.keep(ROOT, verdicts)
    print(_table(verdicts))
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(verdicts), indent=2))
    broken = [verdict for verdict in verdicts if verdict.broken]
    print(f"{len(verdicts)} controls, {len(broken)} broken")
    return 1 if broken or not verdicts else 0


def _table(verdicts: list[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        control = verdict.control
        lines.append(f"{control.id:<6}{verdict.standing:<28}{control.title}")
        for result in verdict.results:
            mark = "skipped" if result.skipped else "WRONG" if result.wrong else "holds"
            lines.append(f"      {mark:<9}{result.seconds:>6.1f} s  {result.check}")
            lines += [f"{'':26}{text}" for text in (*result.wrong, result.skipped) if text]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
