"""Decisions per second as a zone grows: 10 to 10,000 grants. A flat line is the aim.

`python -m bench.decide --json FILE`
"""

import argparse
import json
import time
from pathlib import Path

from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Phase, PolicyRequest
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.scopes import Scope, ScopeSet

SIZES = (10, 100, 1_000, 10_000)
ASKED = 400
WARM_ROUNDS = 50


def zone_of(grants: int) -> tuple[PolicyEngine, list[PolicyRequest], float]:
    """An engine whose policy has as many permits, and requests that each ask for another of them."""
    names = [f"agent{number}" for number in range(grants)]
    resources = {f"resource://r{number}": ScopeSet.of("read") for number in range(min(grants, 100))}
    text = "\n".join(
        f'permit (principal == Application::"{name}", action == Action::"read", '
        f'resource == Resource::"resource://r{number % len(resources)}") '
        f"when {{ context.delegation.hops < 4 }};"
        for number, name in enumerate(names)
    )
    vocabulary = PolicyVocabulary(frozenset(names), resources)
    started = time.perf_counter()
    engine = PolicyEngine.load(text, vocabulary)
    loaded = time.perf_counter() - started
    step = max(1, grants // ASKED)
    requests = [
        PolicyRequest(
            phase=Phase.CALL,
            application=names[number],
            scope=Scope("read"),
            resource=f"resource://r{number % len(resources)}",
            hops=1,
        )
        for number in range(0, grants, step)
    ]
    return engine, requests, loaded


def measure(grants: int) -> dict[str, float]:
    engine, requests, loaded = zone_of(grants)
    first = [_time(engine, request) for request in requests]
    again = [_time(engine, request) for request in requests for _ in range(WARM_ROUNDS)]
    return {
        "grants": grants,
        "load_s": loaded,
        "first_p50_us": _percentile(first, 0.5),
        "first_p99_us": _percentile(first, 0.99),
        "again_p50_us": _percentile(again, 0.5),
        "again_p99_us": _percentile(again, 0.99),
        "again_per_second": 1e6 / _percentile(again, 0.5),
    }


def _time(engine: PolicyEngine, request: PolicyRequest) -> float:
    started = time.perf_counter()
    decision = engine.decide(request)
    took = (time.perf_counter() - started) * 1e6
    if not decision.permitted:
        raise RuntimeError("a grant did not permit")
    return took


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(size) for size in SIZES]
    print(f"{'grants':>8}{'load s':>9}{'first p50':>11}{'first p99':>11}{'again p50':>11}"
          f"{'again p99':>11}{'again /s':>12}")  # fmt: skip
    for row in rows:
        print(f"{row['grants']:>8.0f}{row['load_s']:>9.2f}{row['first_p50_us']:>8.0f} us"
              f"{row['first_p99_us']:>8.0f} us{row['again_p50_us']:>8.2f} us"
              f"{row['again_p99_us']:>8.2f} us{row['again_per_second']:>12,.0f}")  # fmt: skip
    flat = rows[-1]["again_p50_us"] / rows[0]["again_p50_us"]
    print(f"10,000 grants cost {flat:.2f} times 10")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
