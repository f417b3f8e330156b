"""T29: somebody with the database *and* the key of its logs writes another history.

Nothing in the deployment can notice. Whoever kept a checkpoint or a receipt does, and so do witnesses: ours
and one that we did not write. Split views are in tests/witness, where two histories meet one witness.
"""

import shutil

import httpx
import pytest

from caracal.evidence.witness_keys import WitnessKey
from caracal.evidence.witness_policy import parse_policy
from tests.support.deployment import deployed, eventually, reason
from tests.support.insider import rewrite_history
from tests.support.running import running_caracal
from tests.support.witnesses import foreign_witness, start_witness

STRANGER = WitnessKey("stranger", bytes(range(32)))


class Scene:
    """One deployment over time, its witnesses, and what somebody kept of it."""

    def __init__(self, root, upstream) -> None:
        self.data, self.root, self.upstream = root / "data", root, upstream
        self.environment = {
            "CARACAL_PRIVATE_EGRESS_HOSTS": f"{upstream.authority},127.0.0.1",
            "CARACAL_ISSUER": "https://caracal.test",
        }
        self.zone = self.log_key = self.policy = None
        self.checkpoint, self.receipt = root / "checkpoint", root / "kept.tlog-proof"
        self.bundle = root / "log.jsonl"

    def run(self):
        return running_caracal(self.data, environment=self.environment)

    def export(self, running, *more: str) -> None:
        named = ("--zone", self.zone.id, "-o", str(self.bundle), *more)
        exported = running.run("evidence", "export", *named)
        assert exported.returncode == 0, exported.stderr

    def verify(self, running, *more: str):
        return running.run("evidence", "verify", str(self.bundle), "--log-key", self.log_key, *more)


def text(running, path: str) -> str:
    answer = httpx.get(f"{running.control}{path}", headers=running.operator, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.text


def witnessed(running):
    """Every log is cosigned up to its end by a quorum."""

    def look():
        told = httpx.get(
            f"{running.control}/v1/evidence/witnesses", headers=running.operator, trust_env=False
        ).json()
        logs = told["logs"]
        return told if logs and all(log["size"] == log["witnessed_size"] for log in logs) else None

    return eventually(look, seconds=20)


@pytest.fixture(scope="module")
def scene(tmp_path_factory, upstream):
    """A deployment whose log was witnessed, with a copy of its database from before."""
    root = tmp_path_factory.mktemp("insider")
    it = Scene(root, upstream)
    with it.run() as running, deployed(running, upstream) as deployment:
        it.zone = deployment.zone("honest")
        keys = [
            text(running, f"/v1/zones/{log}/evidence/key").strip() for log in ("system", it.zone.id)
        ]
        it.log_key = keys[1]
    shutil.copy(it.data / "caracal.db", root / "before.db")
    witness = start_witness(root / "witness", keys)
    with foreign_witness(root / "foreign", keys) as foreign:
        it.policy = root / "policy"
        it.policy.write_text(
            f"witness ours {witness.key} {witness.url}\n"
            f"witness theirs {foreign.key} {foreign.url}\n"
            "group both all ours theirs\nquorum both\n"
        )
        it.environment |= {
            "CARACAL_WITNESS_POLICY_FILE": str(it.policy),
            "CARACAL_WITNESS_MODE": "require",
            "CARACAL_WITNESS_REFUSE": "true",
            "CARACAL_WITNESS_STALE_SECONDS": "3",
        }
        yield it
    if witness.process.poll() is None:
        witness.stop()


def test_every_log_is_cosigned_by_a_witness_of_ours_and_one_we_did_not_write(scene):
    with scene.run() as running, deployed(running, scene.upstream) as deployment:
        scene.zone.deployment = deployment
        answer = scene.zone.agent().token(scope="agent:lifecycle", resource="resource://api")
        answer = scene.zone.agent().authority().call("/json")
        assert answer.status_code == 200
        told = witnessed(running)
        assert {log["zone"] for log in told["logs"]} == {"system", scene.zone.id}
        assert deployment.ready()["ok"]
        assert "last cosigned" in running.run("status").stdout
        metrics = text(running, "/metrics")
        assert f'caracal_evidence_quorum_age_seconds{{zone="{scene.zone.id}"}}' in metrics
        scene.export(running, "--witnessed")
        shown = running.ask("evidence", "verify", str(scene.bundle), "--log-key", scene.log_key,
                            "--policy", str(scene.policy))  # fmt: skip
        assert len(shown["cosigned"]) == 2
        keys = [one.key.render() for one in parse_policy(scene.policy.read_bytes()).witnesses]
        named = [part for key in keys for part in ("--witness-key", key)]
        shown = running.ask("evidence", "verify", str(scene.bundle), *named)
        assert len(shown["cosigned"]) == 2
        stranger = ("--witness-key", STRANGER.render())
        more = ("evidence", "verify", str(scene.bundle), *named, *stranger)
        assert running.run(*more).returncode == 1
        assert len(running.ask(*more, "--quorum", "2")["cosigned"]) == 2
        assert running.run(*more, "--quorum", "4").returncode == 2
        note = text(running, f"/v1/zones/{scene.zone.id}/evidence/checkpoint")
        scene.checkpoint.write_text(note)
        reference = answer.headers["caracal-receipt"]
        fetched = running.run(
            "evidence", "receipt", reference, "--witnessed", "-o", str(scene.receipt)
        )
        assert fetched.returncode == 0, fetched.stderr
        quorum = [*named, "--log-key", scene.log_key]
        checked = running.run("evidence", "verify-receipt", str(scene.receipt), *quorum)
        assert checked.returncode == 0, checked.stderr


def findings(deployment):
    failing = {one["check"]: one["detail"] for one in deployment.ready()["failing"]}
    text = failing.get("evidence_witnesses", "")
    return text if "the witness ours" in text and "the witness theirs" in text else None


def test_a_database_restored_from_before_is_caught(scene):
    shutil.copy(scene.data / "caracal.db", scene.root / "after.db")
    shutil.copy(scene.root / "before.db", scene.data / "caracal.db")
    try:
        with scene.run() as running, deployed(running, scene.upstream) as deployment:
            assert "rolled back" in eventually(lambda: findings(deployment), seconds=20)
            scene.export(running)
            failed = scene.verify(running, "--since", str(scene.checkpoint))
            assert failed.returncode == 1
            assert "entries once, and now" in failed.stderr
    finally:
        shutil.copy(scene.root / "after.db", scene.data / "caracal.db")


def test_a_history_rewritten_and_signed_anew_is_caught_by_whatever_was_kept(scene):
    changed = rewrite_history(
        scene.data, lambda one: one.replace(b'"kind":"call",', b'"detail":"x","kind":"call",')
        if b'"detail"' not in one else one)  # fmt: skip
    assert changed
    with scene.run() as running, deployed(running, scene.upstream) as deployment:
        scene.zone.deployment = deployment
        scene.export(running)
        assert scene.verify(running).returncode == 0, (
            "by itself the false history is without a flaw"
        )
        failed = scene.verify(running, "--since", str(scene.checkpoint))
        assert (failed.returncode, "it was rewritten" in failed.stderr) == (1, True), failed.stderr
        failed = scene.verify(running, "--receipt", str(scene.receipt))
        assert failed.returncode == 1, failed.stderr
        failed = scene.verify(running, "--policy", str(scene.policy))
        assert (failed.returncode, "no quorum" in failed.stderr) == (1, True), failed.stderr
        found = eventually(
            lambda: found if (found := findings(deployment)) and "no quorum" in found else None,
            seconds=20,
        )
        assert scene.zone.id in found
        refused = eventually(
            lambda: (
                answer
                if (
                    answer := scene.zone.agent().token(
                        scope="agent:lifecycle", resource="resource://api"
                    )
                ).status_code
                == 503
                else None
            ),
            seconds=20,
        )
        assert reason(refused) == "evidence_unwitnessed"
