"""What ends at a started Caracal is on the streams of a real Valkey: signed, in order, and never lost."""

import asyncio
import contextlib
import json
import select
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from caracal.verify import FollowedRevocations, MemoryRevocations, Standing, Verifier
from caracal.verify.caracal_stream import CaracalStream
from caracal.verify.clock import seconds
from caracal.verify.stream_events import prove
from caracal.verify.valkey_feed import ValkeyFeed
from caracal.wire.revocation_streams import DELEGATIONS, EVERYTHING, SESSIONS
from tests.support.deployment import Deployment, eventually
from tests.support.running import start_caracal
from tests.verify.examples import NOW, resource_mandate
from tests.verify.test_a_resource_server_end_to_end import carried
from tests.verify.test_revocations_by_events import code_of, expected

PUBLISHED = Path(__file__).parents[2] / ".venv" / "tools" / "clients" / "bin" / "python"


@pytest.fixture
def valkey(streams):
    with contextlib.closing(Redis(port=streams.server.port, decode_responses=True)) as client:
        yield client


def on(valkey, stream, **wanted):
    """The entries of a stream with these fields, oldest first."""
    found = [fields for _, fields in valkey.xrange(stream)]
    return [fields for fields in found if wanted.items() <= fields.items()]


def test_a_kill_is_published_in_the_form_that_stock_readers_know(protected, streams, valkey):
    zone = protected.zone
    authority, _ = carried(protected)
    below = authority.agent.start(authority.root)
    zone.kill(authority.root)
    [root] = eventually(lambda: on(valkey, SESSIONS, agent_session_id=authority.root))
    assert set(root) == {
        "outbox_id",
        "dedupe_key",
        "zone_id",
        "agent_session_id",
        "reason",
        "_sig",
    }
    assert (root["zone_id"], root["reason"]) == (zone.id, "requested")
    [child] = eventually(lambda: on(valkey, SESSIONS, agent_session_id=below))
    assert child["reason"] == "parent_terminated"
    [edge] = eventually(lambda: on(valkey, SESSIONS, delegation_edge_id=authority.delegation))
    [epoch] = eventually(lambda: on(valkey, DELEGATIONS, edge_id=authority.delegation))
    assert epoch["event"] == "edge_revoke"
    assert int(epoch["epoch"]) > 0
    assert int(root["outbox_id"]) < int(child["outbox_id"]) < int(edge["outbox_id"])
    for stream, fields in ((SESSIONS, root), (SESSIONS, edge), (DELEGATIONS, epoch)):
        prove(stream, fields, streams.key)


@contextlib.contextmanager
def published_reader(protected, streams):
    """The published clients in a process of their own; a call asks it one thing."""
    told = expected(protected) | {"port": streams.server.port, "key": streams.key.hex()}
    script = Path(__file__).with_name("published_reader.py")
    process = subprocess.Popen(
        [PUBLISHED, "-W", "ignore", script, json.dumps(told)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(**line):
        print(json.dumps(line), file=process.stdin, flush=True)
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "no answer"
        return json.loads(process.stdout.readline())

    with process:
        yield ask
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_published_clients_refuse_the_mandate_of_a_killed_session(protected, streams, valkey):
    zone = protected.zone
    killed, header = carried(protected)
    _, other = carried(protected)
    forged = {"zone_id": zone.id, "agent_session_id": "01J00000000000000000000009", "reason": "x"}
    with published_reader(protected, streams) as ask:
        while ask(poll=True):
            pass
        assert ask(authorize=header) is None
        valkey.xadd(SESSIONS, forged)
        zone.kill(killed.root)
        eventually(lambda: on(valkey, DELEGATIONS, edge_id=killed.delegation))
        while ask(poll=True):
            pass
        assert ask(authorize=header) == "session_revoked"
        assert ask(authorize=other) == "delegation_stale", "their epoch is that of the whole zone"
        _, fresh = carried(protected)
        assert ask(authorize=fresh) is None
    [dead] = valkey.xrange(f"{SESSIONS}.dead")
    assert json.loads(dead[1]["payload"]) == forged


async def followed(streams, kind, **more):
    """A view that read everything there is by now, and the feed."""
    view = FollowedRevocations(MemoryRevocations(), seconds=seconds, max_age=5)
    client = AsyncRedis(port=streams.server.port)
    try:
        feed = kind(client, view, key=streams.key, **more)
        deadline = time.monotonic() + 10
        while view.age > 5 and time.monotonic() < deadline:
            await feed.read()
    finally:
        await client.aclose()
    return view, feed


@pytest.mark.parametrize("kind", [ValkeyFeed, CaracalStream])
async def test_a_kill_ends_the_mandate_for_both_of_our_readers(protected, streams, valkey, kind):
    authority, header = carried(protected)
    protected.zone.kill(authority.root)
    eventually(lambda: on(valkey, EVERYTHING, id=authority.delegation))
    view, _ = await followed(streams, kind)
    assert code_of(Verifier(**expected(protected), revocations=view), header) == "session_revoked"


async def test_a_pause_is_told_to_our_readers_and_lifted_again(protected, streams, valkey):
    authority, header = carried(protected)
    zone = protected.zone
    for act, told, code in (
        ("suspend", "session_suspended", "session_revoked"),
        ("resume", "session_resumed", None),
    ):
        zone.operate("PATCH", f"agents/{authority.root}/{act}")
        eventually(lambda told=told: on(valkey, EVERYTHING, id=authority.root, event=told))
        view, _ = await followed(streams, CaracalStream, zone_id=zone.id)
        assert code_of(Verifier(**expected(protected), revocations=view), header) == code
    assert not on(valkey, SESSIONS, agent_session_id=authority.root), (
        "for them it would be for good"
    )


async def test_an_application_that_is_removed_ends_its_sessions_for_all(protected, streams, valkey):
    zone = protected.zone.deployment.zone()
    authority = zone.agent().authority()
    kept = [one for one in zone.document["applications"] if one["name"] != "agent"]
    zone.apply(applications=kept)
    eventually(lambda: on(valkey, SESSIONS, agent_session_id=authority.root))
    [gone] = on(valkey, EVERYTHING, id=authority.agent.application)
    assert gone["event"] == "application_removed"


async def test_entries_that_were_taken_out_are_missed(protected, streams, valkey):
    for _ in range(2):
        protected.zone.kill(protected.zone.agent().start())
    await followed(streams, CaracalStream)
    entries = valkey.xrange(EVERYTHING)
    told = [entry for entry, fields in entries if fields["event"] != "alive"]
    valkey.xdel(EVERYTHING, told[-2])
    view = FollowedRevocations(MemoryRevocations(), seconds=seconds, max_age=3)
    client = AsyncRedis(port=streams.server.port)
    feed = CaracalStream(client, view, key=streams.key)
    async with asyncio.timeout(20):
        # The publisher says every second that it lives, and the view grows older than that.
        while len(view.view) == 0 or view.age < 3:
            await feed.read()
    await client.aclose()
    assert view.standing(resource_mandate(1), NOW) is Standing.UNKNOWN
    valkey.delete(EVERYTHING)  # The publisher notices, and tells again what matters.
    again, feed = await followed(streams, CaracalStream)
    assert again.age < 5
    assert len(again.view) == len(view.view) + 1
    assert feed.rejected == 0


def metric(running, name):
    lines = httpx.get(f"{running.control}/metrics", trust_env=False).text.splitlines()
    [line] = [line for line in lines if line.startswith(name + " ")]
    return float(line.rpartition(" ")[2])


def test_a_dead_valkey_holds_nothing_up_and_is_told_everything_later(protected, streams, valkey):
    zone = protected.zone
    killed = [carried(protected)[0].root for _ in range(2)]
    streams.server.stop()
    try:
        begun = time.monotonic()
        for root in killed:
            assert zone.kill(root).status_code == 204
        assert time.monotonic() - begun < 5
        running = zone.deployment.running
        lag = "caracal_revocation_streams_lag_seconds"
        eventually(lambda: metric(running, lag) > 1.5)
        assert zone.deployment.ready()["ok"]
    finally:
        streams.server.start()
    for root in killed:
        eventually(lambda root=root: on(valkey, SESSIONS, agent_session_id=root))
    eventually(lambda: metric(running, lag) < 1.5)
    positions = [int(fields["position"]) for fields in on(valkey, EVERYTHING)]
    assert positions == sorted(positions)


def test_what_was_not_published_before_the_process_died_is_published_after(
    tmp_path, streams, valkey
):
    data = tmp_path / "data"
    environment = streams.environment | {"CARACAL_SWEEP_MINUTES": "600"}
    streams.server.stop()
    running = start_caracal(data, environment=environment)
    try:
        with httpx.Client(trust_env=False, timeout=20) as http:
            upstream = type("Nowhere", (), {"url": "http://127.0.0.1:9"})
            zone = Deployment(running, upstream, http).zone()
            session = zone.agent().start()
            zone.kill(session)
    finally:
        running.process.kill()
        running.process.wait()
        running.process.stdout.close()
        streams.server.start()
    running = start_caracal(data, environment=environment)
    try:
        eventually(lambda: on(valkey, SESSIONS, agent_session_id=session))
        url = f"{running.control}/zones/{zone.id}/revocations"
        with httpx.stream("GET", url, headers=running.operator, trust_env=False) as listening:
            lines = listening.iter_lines()
            while "event: alive" not in next(lines):
                continue
            running.process.terminate()
            assert len(list(lines)) < 100, "who listens does not hold the process up"
    finally:
        assert running.stop() == 0
