"""T29: somebody with the database and the log's key rewrites the log. What was kept contradicts it."""

import shutil

import pytest

from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.receipts import parse_receipt, verify_receipt
from examples.demo.insider import rewrite
from tests.support.deployment import WRITE, deployed
from tests.support.running import running_caracal

FORGED = b'"verdict":"refuse"', b'"verdict":"permit"'


def receipt_of(zone, answer) -> str:
    deployment = zone.deployment
    reference = answer.headers["caracal-receipt"]
    fetched = deployment.http.get(f"{deployment.running.control}/v1/receipts/{reference}")
    assert fetched.status_code == 200, fetched.text
    return fetched.text


def taken_away(zone) -> tuple[str, bytes]:
    """The log's key, and the whole log as a bundle."""
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence"
    http, headers = zone.deployment.http, zone.deployment.operator
    key = http.get(f"{url}/key", headers=headers).text.strip()
    return key, http.get(f"{url}/export", headers=headers).content


@pytest.fixture(scope="module")
def insider(tmp_path_factory, upstream):
    """The files of an auditor: what was kept before a rewrite, and what is exported after it."""
    environment = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority,
        "CARACAL_ISSUER": "https://caracal.test",
    }
    root = tmp_path_factory.mktemp("insider")
    with (
        running_caracal(root / "data", environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        zone = it.zone()
        authority = zone.agent().authority()
        refused = authority.use(authority.mint(), "/sink", "POST")
        assert refused.status_code == 403
        (root / "kept.tlog-proof").write_text(receipt_of(zone, refused))
        key, before = taken_away(zone)
        (root / "before.jsonl").write_bytes(before)
        assert authority.call("/json", "POST").status_code == 200
        assert WRITE in authority.ask(WRITE).text
    shutil.copytree(root / "data", root / "copy")
    victim = rewrite(root / "copy", key.partition("+")[0], zone.id, *FORGED).index
    with (
        running_caracal(root / "copy", environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        zone.deployment = it
        same_key, after = taken_away(zone)
        assert same_key == key
        (root / "after.jsonl").write_bytes(after)
        latest = zone.agent().token(scope="agent:lifecycle", resource="resource://api")
        (root / "later.tlog-proof").write_text(receipt_of(zone, latest))
        yield running, root, key, victim


def verify(running, file, key, *kept):
    receipts = [word for one in kept for word in ("--receipt", str(one))]
    return running.run("evidence", "verify", str(file), "--log-key", key, *receipts)


def test_the_rewritten_log_is_in_order_by_itself(insider):
    """Nothing in it betrays the insider: that is why something has to be kept elsewhere."""
    running, root, key, _ = insider
    assert b'"verdict":"permit"' in (root / "after.jsonl").read_bytes()
    assert verify(running, root / "after.jsonl", key).returncode == 0


def test_a_receipt_kept_from_before_contradicts_it(insider):
    running, root, key, victim = insider
    kept = root / "kept.tlog-proof"
    report = verify_receipt(parse_receipt(kept.read_text()), parse_verifier_key(key))
    assert (report.index, b'"verdict":"refuse"' in report.entry) == (victim, True)
    caught = verify(running, root / "after.jsonl", key, kept)
    assert caught.returncode == 1
    assert "it was rewritten" in caught.stderr
    assert verify(running, root / "before.jsonl", key, kept).returncode == 0


def test_a_receipt_from_after_does_not_fit_what_was_taken_away_before(insider):
    running, root, key, _ = insider
    caught = verify(running, root / "before.jsonl", key, root / "later.tlog-proof")
    assert caught.returncode == 1
    assert "entries once, and now" in caught.stderr
