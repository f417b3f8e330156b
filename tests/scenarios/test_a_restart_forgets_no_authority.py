"""What was given survives a restart; what could have been used twice does not."""

import contextlib
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.deployment import deployed, eventually, reason
from tests.support.running import running_caracal

ISSUER = "https://caracal.test"


@pytest.fixture
def environment(upstream):
    """The same name for every start: mandates of another issuer are refused anyway."""
    return {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority, "CARACAL_ISSUER": ISSUER}


def test_sessions_delegations_and_evidence_survive_and_unspent_mandates_do_not(
    tmp_path, upstream, environment
):
    data = tmp_path / "data"
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        zone = it.zone()
        agent = zone.agent()
        alive, dead, service = (
            agent.authority(),
            agent.authority(),
            agent.start(lifecycle="service"),
        )
        leased = agent.hand_on(service, agent.start(service), agent)
        assert alive.call("/json").status_code == 200
        unspent, revoked = alive.mint(), dead.mint()
        zone.kill(dead.root)
        before = {item["request"] for item in zone.evidence()}
        size = zone.verify_evidence().entries

    let_the_lease_lapse(data / "caracal.db", service)

    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        zone.deployment = it
        answer = alive.use(unspent, "/json")
        assert (answer.status_code, reason(answer)) == (401, "mandate_predates_start")
        assert not upstream.by_request(answer.headers["x-request-id"])
        assert dead.use(revoked, "/json").status_code == 401
        assert alive.call("/json").status_code == 200
        assert dead.ask().status_code == 403
        eventually(lambda: "suspended" in statuses(zone, service))
        assert leased.ask().status_code == 403
        assert before <= {item["request"] for item in zone.evidence()}
        assert zone.verify_evidence().entries > size
        handed = alive.hand_on(zone.agent("helper"))
        assert handed.call("/json").status_code == 200


def let_the_lease_lapse(database, service: str) -> None:
    """As if the server had been down for longer than a lease lasts."""
    with contextlib.closing(sqlite3.connect(database)) as store, store:
        long_ago = int((time.time() - 600) * 1_000_000)
        changed = store.execute(
            "UPDATE session SET lease_expires_at = ? WHERE id = ?", (long_ago, service)
        )
        assert changed.rowcount == 1


def statuses(zone, session: str) -> list[str]:
    listed = zone.operate("GET", "agents").json()["items"]
    return [item["status"] for item in listed if item["agent_session_id"] == session]


def test_a_second_process_keeps_away(deployment):
    running = deployment.running
    second = running.run(
        "up", "--data", str(running.data), "--control", "127.0.0.1:0", "--gateway", "127.0.0.1:0"
    )
    assert second.returncode not in (0, 70)
    [line] = second.stderr.strip().splitlines()
    assert f"process {running.pid} already uses {running.data}" in line
    assert deployment.zone().agent().authority().call("/json").status_code == 200


def test_a_call_under_way_is_drained_and_none_is_let_in(tmp_path, upstream, environment):
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as stack:
        running = stack.enter_context(running_caracal(tmp_path / "data", environment=environment))
        zone = stack.enter_context(deployed(running, upstream)).zone()
        authority = zone.agent().authority()
        call = pool.submit(authority.use, authority.mint(), f"/hold?{zone.name}")
        eventually(lambda: upstream.to(f"/hold?{zone.name}"))
        running.process.terminate()
        eventually(lambda: kept_out(authority))
        assert running.process.poll() is None
        upstream.push(zone.name, "go on")
        assert call.result(10).json() == {"held": True}
    assert "Traceback" not in running.log.read_text()


def kept_out(authority) -> bool:
    """Whether no new call is let in: by an answer, or by no connection."""
    try:
        answer = authority.call("/json")
    except httpx.TransportError:
        return True
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 503
