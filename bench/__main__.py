"""Every measurement, one after the other: `make bench`. JSON goes to `bench/results/`."""

import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
PARTS = ("startup", "decide", "evidence", "replay", "sessions", "governed", "mcp", "apart")


def main() -> int:
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for part in PARTS:
        print(f"\n== {part}", flush=True)
        target = RESULTS / f"{part}.json"
        command = [sys.executable, "-m", f"bench.{part}", "--json", str(target)]
        if subprocess.run(command, check=False).returncode:
            failed.append(part)
    print(f"\nJSON in {RESULTS}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
