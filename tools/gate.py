"""The one job that branch protection names: it passes when every other job succeeded.

Usage: NEEDS='{"job": {"result": "success"}}' python -m tools.gate [--may-skip JOB ...]

Uses the standard library alone: it runs where nothing is installed.
"""

import argparse
import json
import os
import sys
from collections.abc import Collection, Iterator


def failures(needs: str, may_skip: Collection[str] = ()) -> Iterator[str]:
    """Say which jobs did not succeed; one that was skipped did not, unless it may be."""
    try:
        results = {job: outcome["result"] for job, outcome in json.loads(needs).items()}
    except (ValueError, AttributeError, KeyError, TypeError):
        yield "NEEDS does not say how the jobs ended"
        return
    if not results:
        yield "no job was waited for"
    for job, result in sorted(results.items()):
        if result != "success" and not (result == "skipped" and job in may_skip):
            yield f"{job}: {result}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gate", description=__doc__)
    parser.add_argument("--may-skip", action="append", default=[], metavar="JOB")
    found = list(failures(os.environ.get("NEEDS", ""), parser.parse_args().may_skip))
    print("\n".join(found) if found else "every job succeeded")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
