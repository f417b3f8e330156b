"""T11: the store is full or gone while the server runs. Without evidence nothing happens."""

import contextlib
import resource
import sqlite3

import pytest

from tests.support.deployment import deployed, eventually, reason
from tests.support.running import running_caracal


@pytest.fixture(scope="module")
def own(tmp_path_factory, upstream):
    """A server whose disk can be taken away."""
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("disk") / "data"
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        yield it
    assert "Traceback" not in running.log.read_text()


@contextlib.contextmanager
def full_disk(own):
    """The process may not make any file longer, as on a full disk."""
    before = resource.prlimit(own.running.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(own.running.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(own.running.pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def vanished_database(own):
    """Somebody moves the database away."""
    database = own.running.data / "caracal.db"
    elsewhere = database.with_name("moved-away.db")
    database.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(database)


@pytest.mark.parametrize("lost", [full_disk, vanished_database])
def test_nothing_is_decided_started_or_forwarded_until_it_is_back(own, upstream, lost):
    zone = own.zone()
    agent = zone.agent()
    authority = agent.authority()
    mandates = [authority.mint() for _ in range(20)]
    spare = authority.mint()
    before = len(upstream.received)
    with lost(own):
        answers = [authority.use(mandate, "/json") for mandate in mandates]
        assert {(it.status_code, reason(it)) for it in answers} == {(503, "evidence_unavailable")}
        refused = authority.ask()
        assert (refused.status_code, reason(refused)) == (503, "evidence_unavailable")
        started = agent.token(scope="agent:lifecycle", resource="resource://api")
        assert started.status_code == 503
        changed = own.put_zone(zone.document | {"policy": "permit (principal, action, resource);"})
        assert changed.status_code == 503
        report = eventually(lambda: None if (found := own.ready())["ready"] else found)
        assert "evidence_log" in {failing["check"] for failing in report["failing"]}
        assert len(upstream.received) == before
    eventually(lambda: authority.ask().status_code == 200)
    assert authority.use(spare, "/json").status_code == 200
    eventually(lambda: own.ready()["ready"])
    assert zone.verify_evidence().entries > 0
    allowed = {entry["request"] for entry in zone.evidence(kind="call", verdict="allow")}
    for seen in upstream.received[before:]:
        assert seen.header("x-request-id") in allowed


def test_a_kill_counts_though_it_can_not_be_stored(own, upstream):
    zone = own.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    with full_disk(own):
        answer = zone.operate("DELETE", f"agents/{authority.root}")
        assert answer.status_code in (204, 503), answer.text
    refused = authority.use(mandate, "/json")
    assert (refused.status_code, reason(refused)) == (401, "mandate_revoked")
    assert not upstream.by_request(refused.headers["x-request-id"])
    eventually(lambda: own.ready()["ready"])
    [ended] = zone.evidence(kind="session.end")
    assert ended["target"] == authority.root


def test_a_database_that_somebody_else_has_locked_is_waited_for_only_so_long(own, upstream):
    authority = own.zone().agent().authority()
    late, soon = authority.mint(), authority.mint()
    with contextlib.closing(sqlite3.connect(own.running.data / "caracal.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = authority.use(late, "/json")
        assert (answer.status_code, reason(answer)) == (503, "evidence_unavailable")
        assert not upstream.by_request(answer.headers["x-request-id"])
        other.rollback()
    assert eventually(lambda: authority.ask().status_code == 200)
    assert authority.use(soon, "/json").status_code == 200


def test_a_database_server_that_drops_us_ends_everything_until_it_has_us_back(
    tmp_path, upstream, postgres
):
    environment = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority,
        "CARACAL_ISSUER": "https://caracal.test",
    }
    options = {"environment": environment, "database": postgres.create_database("dropped")}
    with (
        running_caracal(tmp_path / "data", **options) as running,
        deployed(running, upstream) as it,
    ):
        zone = it.zone()
        authority = zone.agent().authority()
        mandates = [authority.mint() for _ in range(5)]
        before = len(upstream.received)
        postgres.execute("postgres", "ALTER DATABASE dropped ALLOW_CONNECTIONS false")
        postgres.execute(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dropped'",
        )
        answers = [authority.use(mandate, "/json") for mandate in mandates]
        assert {it.status_code for it in answers} == {503}
        assert authority.ask().status_code == 503
        assert not it.ready()["ready"]
        assert len(upstream.received) == before
        postgres.execute("postgres", "ALTER DATABASE dropped ALLOW_CONNECTIONS true")
        eventually(lambda: it.ready()["ready"], seconds=20)
        assert authority.call("/json").status_code == 200
        zone.verify_evidence()
