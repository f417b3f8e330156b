"""Services: heartbeats from a thread, a lease that is taken over, and one that runs out here."""

import queue
import threading
from datetime import timedelta

import pytest

from caracal import Caracal
from caracal.sdk import LeaseLost, SessionEnded
from caracal.sdk.heartbeats import pause
from caracal.sdk.standing import Standing
from caracal.sdk.surroundings import monotonic, random_bytes
from caracal.wire.trace_context import new_trace
from tests.sdk.breaking import breaking_proxy
from tests.sdk.clients import configured, status
from tests.support.deployment import API, READ, eventually

QUICK = timedelta(seconds=0.05)


def test_a_service_beats_and_its_tasks_work_and_all_ends_with_its_block(caracal, zone):
    def last_beat():
        return zone.operate("GET", f"agents/{service.id}").json()["last_heartbeat_at"]

    with caracal.service(heartbeat_every=QUICK, labels=["worker"]) as service:
        first = last_beat()
        eventually(lambda: last_beat() != first)
        with caracal.session(scopes=[READ], resources=[API]) as task:
            assert task.mandate(API)
        assert service.lost is None
    assert status(zone, service.id) == "terminated"
    assert not [t for t in threading.enumerate() if t.name.startswith("caracal-heartbeat")]


def test_who_lost_the_lease_makes_no_more_calls(caracal, zone):
    lost: queue.Queue[Exception] = queue.Queue()
    with Caracal(configured(zone)) as successor:
        with (
            caracal.service(heartbeat_every=QUICK, when_lost=lost.put) as service,
            caracal.session(scopes=[READ], resources=[API]) as task,
            successor.attach(service.id, keep=True),
        ):
            assert isinstance(lost.get(timeout=10), LeaseLost)
            with pytest.raises(LeaseLost):
                task.mandate(API)
            with pytest.raises(LeaseLost), service.session():
                raise AssertionError("opened")
        assert status(zone, service.id) == "active"
        with successor.attach(service.id):
            assert status(zone, service.id) == "active"
    assert status(zone, service.id) == "terminated"


def test_a_service_that_is_ended_inside_its_block_was_not_lost(caracal, zone):
    lost: queue.Queue[Exception] = queue.Queue()
    with caracal.service(heartbeat_every=QUICK, when_lost=lost.put) as service:
        service.end()
        beating = f"caracal-heartbeat-{service.id}"
        eventually(lambda: beating not in {thread.name for thread in threading.enumerate()})
    assert lost.empty()


def test_heartbeats_that_do_not_come_through_are_followed_by_more(zone):
    with breaking_proxy(zone.deployment.running.control) as proxy:
        busy = b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}"
        proxy.answers = lambda line: busy if "heartbeat" in line and failing else None
        failing = [1, 2, 3]
        client = Caracal(configured(zone, sts_url=proxy.url))
        with client, client.service(heartbeat_every=QUICK) as service:
            eventually(lambda: len([line for line in proxy.seen if "heartbeat" in line]) > 3)
            failing.clear()
            began = service.standing.lease_until
            eventually(lambda: service.standing.lease_until != began)
            assert service.lost is None


def test_a_service_that_was_killed_is_lost(caracal, zone):
    lost: queue.Queue[Exception] = queue.Queue()
    with caracal.service(heartbeat_every=QUICK, when_lost=lost.put) as service:
        zone.kill(service.id)
        assert isinstance(lost.get(timeout=10), SessionEnded)
        assert service.lost is not None


def test_only_a_service_can_be_taken_over(caracal):
    with caracal.session() as task, pytest.raises(Exception, match="session_not_service"):
        caracal.attach(task.id).__enter__()


def standing(lease_until: float | None, outer: Standing | None = None) -> Standing:
    return Standing("S", new_trace(random_bytes), outer, generation=1, lease_until=lease_until)


def test_a_lease_that_ran_out_here_stops_calls_without_asking_anybody():
    gone = standing(monotonic() - 1)
    inside = standing(None, outer=gone)
    for one in (gone, inside):
        with pytest.raises(LeaseLost, match="no heartbeat came through"):
            one.require("call")
    gone.renewed(monotonic() + 60)
    inside.require("call")


def test_heartbeats_come_at_about_a_third_of_what_is_left():
    for _ in range(50):
        assert 25 <= pause(standing(monotonic() + 90), None) <= 34
    assert pause(standing(monotonic() - 90), None) <= 1.1
    assert pause(standing(monotonic() + 90_000), None) <= 331
    assert pause(standing(monotonic() + 90), QUICK) == 0.05
