"""A shard of Audit: its entries are part of the zone's story, its checkpoints of the zone's own log."""

import json

import httpx
import pytest

from caracal.authority.outcomes import Unavailable
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.receipts import parse_receipt, verify_receipt
from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.http.client import PooledUpstreamClient
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.adapters.peers.keys import PeerKeys
from caracal_server.web.peers.messages import Done
from caracal_server.web.peers.services import Ask, parse_peer
from tests.support.apart import apart, caracal, deployed_apart, provision, running_apart
from tests.support.deployment import eventually, reason
from tests.support.insider import rewrite_history

SHARD = "west"
NAME = f"audit.{SHARD}"


@pytest.fixture(scope="module")
def services(tmp_path_factory, upstream):
    root = tmp_path_factory.mktemp("sharded")
    provision(root, "--shard", SHARD)
    with running_apart(apart(root, upstream, gateway_shard=SHARD)) as running:
        yield running


@pytest.fixture(scope="module")
def deployment(services, upstream):
    with deployed_apart(services, upstream) as it:
        yield it


def story(zone, **query) -> list[dict]:
    """The story, newest first, page by page; each item as it came."""
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/story"
    found: list[dict] = []
    while True:
        answer = zone.deployment.http.get(url, params=query, headers=zone.deployment.operator)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def vouched(zone, size: int = 0) -> list[dict]:
    """What the zone's own log says of its shard, newest first, once it says it of that many entries."""
    return eventually(
        lambda: [one for one in zone.evidence(kind="shard.checkpoint") if one["end_index"] >= size]
    )


def test_a_session_is_one_story_whoever_recorded_it(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    asked = [authority.call("/json").headers["x-request-id"] for _ in range(3)]
    eventually(lambda: len(zone.evidence(kind="shard.checkpoint")))
    told = eventually(
        lambda: (
            (found := story(zone, session=authority.session, limit=3))
            and [one["entry"]["kind"] for one in found].count("call.result") == 3
            and found
        )
    )
    by_shard = {one["entry"]["kind"]: one["shard"] for one in told}
    assert by_shard["call"] == by_shard["call.result"] == SHARD
    assert by_shard["exchange"] == ""
    times = [one["entry"]["sequenced_at"] for one in told]
    assert times == sorted(times, reverse=True)
    calls = [one["entry"]["request"] for one in told if one["entry"]["kind"] == "call"]
    assert calls == asked[::-1]
    assert len({(one["shard"], one["index"]) for one in told}) == len(told)
    assert {one["kind"] for one in zone.evidence(session=authority.session)}.isdisjoint({"call"})


def test_a_receipt_of_the_shard_rests_on_a_checkpoint_that_the_zones_log_holds(
    deployment, tmp_path
):
    zone = deployment.zone()
    answer = zone.agent().authority().call("/json")
    reference = answer.headers["caracal-receipt"]
    receipt = deployment.http.get(f"{deployment.running.control}/v1/receipts/{reference}")
    assert receipt.status_code == 200, receipt.text
    parsed = parse_receipt(receipt.text)
    [newest, *_] = vouched(zone, parsed.index + 1)
    key = parse_verifier_key(newest["detail"].removeprefix("verify with "))
    assert key.name.endswith(f"/evidence/{zone.id}/{SHARD}")
    assert newest["target"] == key.name
    entry = json.loads(verify_receipt(parsed, key).entry)
    assert (entry["kind"], entry["request"]) == ("call", answer.headers["x-request-id"])
    assert verify_checkpoint(newest["checkpoint"], key).root.hex() == newest["digest"]
    file = tmp_path / "call.tlog-proof"
    file.write_text(receipt.text)
    (tmp_path / "log.key").write_text(key.render() + "\n")
    command = ("evidence", "verify-receipt", str(file), "--log-key", str(tmp_path / "log.key"))
    assert caracal(*command).returncode == 0
    with pytest.raises(EvidenceError):
        verify_receipt(parsed, parse_verifier_key(zone_key(zone)))


def zone_key(zone) -> str:
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    return zone.deployment.http.get(url, headers=zone.deployment.operator).text.strip()


def test_a_shard_serves_its_log_under_its_own_name(deployment, services):
    zone = deployment.zone()
    zone.agent().authority().call("/json")
    vouched(zone)
    shard = services[NAME].url
    answer = httpx.get(
        f"{shard}/evidence/{zone.id}/{SHARD}/checkpoint",
        headers=deployment.operator,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert answer.text.splitlines()[0].endswith(f"/evidence/{zone.id}/{SHARD}")


@pytest.mark.parametrize("cursor", ["x", "7", ":1,:2", "east:3", f":{2**60}0", f"{SHARD}:-1"])
def test_a_cursor_that_no_page_gave_is_refused(deployment, cursor):
    zone = deployment.zone()
    url = f"{deployment.running.control}/v1/zones/{zone.id}/evidence/story"
    answer = deployment.http.get(url, params={"cursor": cursor}, headers=deployment.operator)
    assert (answer.status_code, reason(answer)) == (404, "request_malformed")


async def test_a_shard_asks_audit_nothing(services):
    data = services[NAME].data
    keys = PeerKeys.load(parse_peer(NAME), data / "keys" / "peer.key", data / "peers")
    guard = EgressGuard(PrivateEgress.parse(f"127.0.0.1:{services['audit'].peer}"))
    client = PooledUpstreamClient(guard)
    channel = PeerChannel(
        me=parse_peer(NAME),
        peer=parse_peer("audit"),
        key=keys.sending[parse_peer("audit")],
        url=UpstreamUrl.parse(f"http://127.0.0.1:{services['audit'].peer}"),
        client=client,
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )
    try:
        for ask in (Ask.SEARCH_SHARD, Ask.SHARD_CHECKPOINTS, Ask.APPEND_EVIDENCE):
            with pytest.raises(Unavailable, match="does not accept who asks"):
                await channel.ask(ask, Done(), Done)
    finally:
        await client.aclose()


def test_without_its_shard_nothing_is_called_and_no_story_has_holes(deployment, services, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    assert authority.call("/json").status_code == 200
    vouched(zone)
    late = authority.mint()
    services[NAME].kill()
    before = len(upstream.received)
    refused = authority.use(late, "/json")
    assert (refused.status_code, reason(refused)) == (503, "evidence_unavailable")
    assert len(upstream.received) == before
    url = f"{deployment.running.control}/v1/zones/{zone.id}/evidence/story"
    answer = deployment.http.get(url, headers=deployment.operator)
    assert (answer.status_code, reason(answer)) == (503, "peer_unavailable")
    eventually(lambda: "evidence_shards" in services["audit"].failing())
    services.start(NAME)
    eventually(services["audit"].ready)
    eventually(services["gateway"].ready)
    assert authority.call("/json").status_code == 200
    assert story(zone)


def test_a_shard_whose_history_was_rewritten_under_its_own_key_is_found_by_audit(
    services, deployment
):
    zone = deployment.zone()
    authority = zone.agent().authority()
    for _ in range(3):
        assert authority.call("/json").status_code == 200
    vouched(zone, 3)
    services[NAME].stop()
    changed = rewrite_history(
        services[NAME].data,
        lambda entry: entry.replace(b'"verdict":"allow"', b'"verdict":"refuse"'),
    )
    assert changed >= 3
    services.start(NAME)
    eventually(services["gateway"].ready)
    assert authority.call("/json").status_code == 200
    wanted = f"zone {zone.id}: its log in shard {SHARD}"
    eventually(lambda: wanted in services["audit"].failing().get("evidence_integrity", ""))
