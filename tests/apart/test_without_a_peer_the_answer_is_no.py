"""What a service can not know or not record, it refuses; and it goes on by itself once it can again.

The peers of this deployment speak TLS.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from caracal_server.web.peers.feed import HOLD_SECONDS
from tests.adapters_http.certificates import write_ca_file
from tests.apart.conftest import BOUNDS, CONFIGURATION_SECONDS, GRAPH_SECONDS
from tests.support.apart import Apart, apart, deployed_apart, provision, running_apart
from tests.support.deployment import Deployment, eventually, reason

SLACK = 1.5


@pytest.fixture(scope="module")
def fragile(tmp_path_factory, upstream) -> Iterator[Apart]:
    root = tmp_path_factory.mktemp("fragile")
    provision(root)
    bounds = BOUNDS | {"CARACAL_DRAIN_SECONDS": "1"}
    with running_apart(apart(root, upstream, tls=write_ca_file(root), **bounds)) as running:
        yield running


@pytest.fixture
def site(fragile, upstream) -> Iterator[Deployment]:
    for service in fragile.services.values():
        eventually(service.ready, seconds=30)
    with deployed_apart(fragile, upstream) as it:
        yield it


def recovered(fragile: Apart) -> None:
    for service in fragile.services.values():
        eventually(service.ready, seconds=30)


def test_without_audit_nothing_happens_and_afterwards_everything_does(site, fragile, upstream):
    zone = site.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    fragile["audit"].kill()
    before = len(upstream.received)
    called, minted = authority.use(mandate, "/json"), authority.ask()
    assert (called.status_code, reason(called)) == (503, "evidence_unavailable")
    assert (minted.status_code, reason(minted)) == (503, "evidence_unavailable")
    assert len(upstream.received) == before
    for one in ("gateway", "sts", "coordinator", "control"):
        assert "audit" in eventually(lambda one=one: fragile[one].failing())["peer_audit"]
    fragile["audit"].start()
    recovered(fragile)
    again = authority.call("/json")
    assert again.status_code == 200, again.text
    zone.verify_evidence()


def test_a_kill_counts_without_audit_and_is_recorded_when_it_is_back(site, fragile, upstream):
    zone = site.zone()
    authority = zone.agent().authority()
    meanwhile, afterwards = authority.mint(), authority.mint()
    operator = dict(site.operator)
    fragile["audit"].kill()
    url = f"{site.running.control}/zones/{zone.id}/agents/{authority.root}"
    answer = site.http.delete(url, headers=operator)
    assert answer.status_code == 503, answer.text
    before = len(upstream.received)
    assert reason(authority.use(meanwhile, "/json")) == "evidence_unavailable"
    fragile["audit"].start()
    recovered(fragile)
    refused = authority.use(afterwards, "/json")
    assert (refused.status_code, reason(refused)) == (401, "mandate_revoked")
    assert len(upstream.received) == before
    ended = eventually(lambda: zone.evidence(kind="session.end", session=authority.root))
    assert len(ended) == 1


def test_a_result_that_audit_missed_is_recorded_once_when_it_is_back(site, fragile, upstream):
    zone = site.zone()
    authority = zone.agent().authority()
    with authority.stream(f"/events?{zone.name}") as answer:
        assert answer.status_code == 200
        request_id = answer.headers["x-request-id"]
        fragile["audit"].kill()
        answer.close()
    [seen] = upstream.by_request(request_id)
    eventually(lambda: seen.gone)
    fragile["audit"].start()
    recovered(fragile)
    assert zone.entry(request_id, "call.result")["reason"] == "client_gone"


def test_a_call_whose_gateway_was_killed_is_marked_once_the_next_one_is_there(site, fragile):
    zone = site.zone()
    authority = zone.agent().authority()
    with authority.stream(f"/events?{zone.name}") as answer:
        request_id = answer.headers["x-request-id"]
        fragile["gateway"].kill()
        with pytest.raises(httpx.TransportError):
            answer.read()
    fragile["gateway"].start()
    recovered(fragile)
    [marked] = eventually(lambda: zone.evidence(request=request_id, kind="call.result"), seconds=30)
    assert marked["error"] == "outcome_unknown"
    assert marked["instance"] == zone.entry(request_id, "call")["instance"]


def test_a_gateway_that_lost_the_coordinator_refuses_after_its_bound(site, fragile, upstream):
    zone = site.zone()
    authority = zone.agent().authority()
    with authority.stream(f"/events?{zone.name}") as answer:
        assert answer.status_code == 200
        mandates = [authority.mint() for _ in range(2)]
        fragile["coordinator"].pause()
        paused = time.monotonic()
        try:
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()  # cut: what was revoked meanwhile is not known
            assert time.monotonic() - paused < GRAPH_SECONDS + SLACK
            refused = authority.use(mandates[0], "/json")
            assert (refused.status_code, reason(refused)) == (503, "revocations_stale")
            assert reason(authority.ask()) == "revocations_stale"
            assert "peer_coordinator" in fragile["gateway"].failing()
        finally:
            fragile["coordinator"].go_on()
    recovered(fragile)
    assert authority.use(mandates[1], "/json").status_code == 200


def test_a_kill_is_answered_when_a_gateway_that_hangs_refuses_by_itself(site, fragile):
    zone = site.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    with ThreadPoolExecutor(1) as pool:
        fragile["gateway"].pause()
        started = time.monotonic()
        try:
            zone.kill(authority.root)
            taken = time.monotonic() - started
            assert GRAPH_SECONDS - HOLD_SECONDS - SLACK / 3 < taken < GRAPH_SECONDS + SLACK
            calling = pool.submit(authority.use, mandate, "/json")
        finally:
            fragile["gateway"].go_on()
        refused = calling.result()
    assert reason(refused) in {"mandate_revoked", "revocations_stale"}


def test_sessions_and_kills_survive_a_coordinator_that_dies(site, fragile):
    zone = site.zone()
    agent = zone.agent()
    alive, dead = agent.authority(), agent.authority()
    mandate = dead.mint()
    zone.kill(dead.root)
    fragile["coordinator"].kill()
    fragile["coordinator"].start()
    recovered(fragile)
    assert alive.call("/json").status_code == 200
    assert reason(dead.use(mandate, "/json")) == "mandate_revoked"
    assert dead.ask().status_code in (401, 403)


def test_without_control_calls_go_on_within_the_bound_and_not_beyond(site, fragile):
    zone = site.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    fragile["control"].kill()
    assert authority.call("/json").status_code == 200
    stale = eventually(lambda: _refused(authority), seconds=CONFIGURATION_SECONDS + SLACK + 2)
    assert (stale.status_code, reason(stale)) == (503, "peer_unavailable")
    eventually(lambda: "peer_control" in fragile["gateway"].failing())
    assert reason(authority.use(mandate, "/json")) == "peer_unavailable"
    fragile["control"].start()
    recovered(fragile)
    assert authority.call("/json").status_code == 200


def _refused(authority):
    answer = authority.ask()
    return None if answer.status_code == 200 else answer


def test_mandates_from_before_a_gateways_start_are_refused(site, fragile):
    authority = site.zone().agent().authority()
    mandate = authority.mint()
    assert fragile["gateway"].stop() == 0
    fragile["gateway"].start()
    recovered(fragile)
    refused = authority.use(mandate, "/json")
    assert (refused.status_code, reason(refused)) == (401, "mandate_predates_start")
    assert authority.call("/json").status_code == 200


def test_the_sts_signs_with_the_same_keys_after_a_restart(site, fragile):
    zone = site.zone()
    authority = zone.agent().authority()
    keys, mandate = zone.keys(), authority.mint()
    assert fragile["sts"].stop() == 0
    fragile["sts"].start()
    recovered(fragile)
    assert zone.keys() == keys
    assert authority.use(mandate, "/json").status_code == 200
    assert authority.call("/json").status_code == 200


def test_a_peer_with_a_certificate_of_somebody_else_is_not_asked(site, fragile, tmp_path):
    gateway = fragile["gateway"]
    kept = gateway.environment["CARACAL_PEER_TLS_CA_FILE"]
    assert gateway.stop() == 0
    gateway.environment["CARACAL_PEER_TLS_CA_FILE"] = str(write_ca_file(tmp_path))
    gateway.start()
    failing = eventually(lambda: "tls_failed" in str(gateway.failing()) and gateway.failing())
    assert failing.keys() >= {"peer_audit", "peer_control", "peer_coordinator", "peer_sts"}
    assert gateway.stop() == 0
    gateway.environment["CARACAL_PEER_TLS_CA_FILE"] = kept
    gateway.start()
    recovered(fragile)
