"""Our witness in a process of its own: asked by a client we did not write, and killed at any moment."""

import json
import subprocess
import threading

import httpx

from caracal.evidence.witness_protocol import parse_add_checkpoint
from tests.support.witnesses import JUDGES, running_witness, start_witness
from tests.witness.test_a_witness_signs_one_history import HONEST, LOG, REWRITTEN, request

CLIENT = """
import json, sys
from aics_witness.feeder import FeederError, WitnessClient
asked = json.load(sys.stdin)
client = WitnessClient(asked["url"], asked["key"])
for one in asked["submissions"]:
    proofs = {int(old): [bytes.fromhex(h) for h in proof] for old, proof in one["proofs"].items()}
    try:
        lines = client.submit(one["note"], lambda old, new: proofs[old])
        print(json.dumps("cosigned" if lines else "nothing"))
    except FeederError as fault:
        print(json.dumps(type(fault).__name__))
"""


def submission(entries: list[bytes], olds: list[int]) -> dict[str, object]:
    parsed = {old: parse_add_checkpoint(request(entries, old)) for old in olds}
    return {
        "note": parsed[olds[0]].note,
        "proofs": {old: [value.hex() for value in one.proof] for old, one in parsed.items()},
    }


def test_a_client_we_did_not_write_is_cosigned_and_caught(tmp_path):
    with running_witness(tmp_path / "w", [LOG.render()]) as witness:
        asked = {
            "url": witness.url,
            "key": witness.key,
            "submissions": [
                submission(HONEST[:5], [0]),
                submission(HONEST[:9], [0, 5]),
                submission(REWRITTEN, [9]),
                submission(HONEST[:4], [0]),
            ],
        }
        said = subprocess.run(
            [JUDGES, "-c", CLIENT],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    outcomes = [json.loads(line) for line in said.stdout.splitlines()]
    assert outcomes == ["cosigned", "cosigned", "WitnessRejected", "WitnessAhead"]


def test_what_was_cosigned_is_remembered_when_the_process_is_killed_at_any_moment(tmp_path):
    acknowledged = [0]
    enough = threading.Event()
    witness = start_witness(tmp_path / "w", [LOG.render()])
    key_file = tmp_path / "w" / "witness.key"
    assert key_file.stat().st_mode & 0o777 == 0o600

    def submit_all() -> None:
        for size in range(1, len(HONEST)):
            try:
                answer = witness.submit(request(HONEST[:size], size - 1))
            except httpx.HTTPError:
                return
            assert answer.status_code == 200
            acknowledged.append(size)
            if size == 4:
                enough.set()

    submitting = threading.Thread(target=submit_all)
    submitting.start()
    assert enough.wait(30)
    witness.kill()
    submitting.join(30)
    with running_witness(tmp_path / "w", [LOG.render()]) as again:
        assert again.key == witness.key
        held = again.submit(request(HONEST, 0))
        assert held.status_code == 409
        size = int(held.text)
        assert size >= acknowledged[-1] >= 4
        assert again.submit(request(REWRITTEN, size)).status_code in (409, 422)
        assert again.submit(request(HONEST, size)).status_code == 200
