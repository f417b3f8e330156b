"""One governed call after another, with the services in one process and, in turn, apart.

Usage: python -m bench.apart [--calls N] [--rounds N] [--json FILE]
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.support.apart import apart, deployed_apart, provision, running_apart
from tests.support.deployment import Deployment, deployed
from tests.support.running import running_caracal
from tests.support.upstream import recording_upstream

WARM_UP = 30


def measure(deployment: Deployment, calls: int) -> dict[str, list[float]]:
    """Milliseconds that mints and calls took."""
    authority = deployment.zone().agent().authority()
    for _ in range(WARM_UP):
        authority.call()
    taken: dict[str, list[float]] = {"mint": [], "call": []}
    for _ in range(calls):
        began = time.perf_counter()
        mandate = authority.mint()
        minted = time.perf_counter()
        answer = authority.use(mandate, "/json")
        over = time.perf_counter()
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        taken["mint"].append((minted - began) * 1e3)
        taken["call"].append((over - minted) * 1e3)
    return taken


def summary(taken: list[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {
        "least": ordered[0],
        "p50": statistics.median(ordered),
        "p95": ordered[int(len(ordered) * 0.95)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rounds: list[dict[str, dict[str, dict[str, float]]]] = []
    with tempfile.TemporaryDirectory() as folder, recording_upstream() as upstream:
        root = Path(folder)
        provision(root / "five")
        egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
        services = apart(root / "five", upstream)
        with (
            running_caracal(root / "one", environment=egress) as running,
            deployed(running, upstream) as one,
            running_apart(services),
            deployed_apart(services, upstream) as five,
        ):
            for _ in range(asked.rounds):
                found = {
                    "one process": measure(one, asked.calls),
                    "apart": measure(five, asked.calls),
                }
                rounds.append({name: {step: summary(ms) for step, ms in taken.items()}
                               for name, taken in found.items()})  # fmt: skip
                for name, steps in rounds[-1].items():
                    for step, ms in steps.items():
                        shown = "  ".join(f"{key} {value:6.2f}" for key, value in ms.items())
                        print(f"{name:12} {step}  {shown} ms", flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(rounds, indent=2) + "\n")


if __name__ == "__main__":
    main()
