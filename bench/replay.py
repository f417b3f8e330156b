"""Decisions that a core decides again per second, from entries as they are stored.

`python -m bench.replay --json FILE`; 50 policies, and a path of its own in every tenth call.
"""

import argparse
import json
import time
from pathlib import Path

import msgspec

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.replay import Replay
from caracal.authority.policy.schema import PolicyVocabulary

POLICIES = 50
APPLICATIONS = 20


def text() -> str:
    rules = [
        f'@id("p{number}") permit (principal, action == Action::"rows:read", resource) when '
        f'{{ context.call.path like "/rows/*" && context.session.labels.contains("t{number}") }};'
        for number in range(POLICIES)
    ]
    return "\n".join(rules)


def stored(number: int, *, policy: str) -> bytes:
    own = number if number % 10 == 0 else number % 7
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL,
        zone="bench",
        at=number,
        request=f"r{number:025}",
        verdict=Verdict.ALLOW,
        application=f"{number % APPLICATIONS:026}",
        application_name=f"agent-{number % APPLICATIONS}",
        session="0" * 26,
        delegations=("1" * 26,),
        resource="resource://bench",
        operation=f"GET /rows/{own}",
        template="GET /rows/{id}",
        scopes="rows:read",
        mandate=f"m{number:025}",
        policy=policy,
        policies=("p3",),
        lifecycle="task",
        labels=("t3",),
        depth=1,
    )
    return msgspec.json.encode(entry, order="sorted")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--decisions", type=int, default=40_000)
    asked = parser.parse_args()
    engine = PolicyEngine.load(text(), PolicyVocabulary(frozenset(), {}))
    entries = [stored(number, policy=engine.digest) for number in range(asked.decisions)]
    decode = msgspec.json.Decoder(Entry).decode
    run = Replay(lambda _: engine)
    begun = time.process_time()
    for index, data in enumerate(entries):
        run.take(index, decode(data))
    seconds = time.process_time() - begun
    report = run.report()
    if report.differing or report.replayed != asked.decisions:
        raise SystemExit(f"the replay differs: {report.first_difference}")
    rate = round(asked.decisions / seconds)
    print(f"{rate:,} decisions per CPU second ({asked.decisions:,} in {seconds:.2f} s)")
    if asked.json:
        asked.json.write_text(json.dumps({"decisions": asked.decisions, "per_second": rate}))


if __name__ == "__main__":
    main()
