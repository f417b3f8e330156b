"""A transport's session is renewed before it ends by itself, and never when somebody ended it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from caracal.authority.sessions import Lifecycle
from caracal.sdk import InvalidRequest, SessionEnded
from caracal.sdk.acting import renewed
from caracal.sdk.engine import Engine
from caracal.sdk.opening import Opened, Outer
from caracal.sdk.options import plan_session, plan_transport
from tests.sdk.clients import configured, live_sessions, status
from tests.support.deployment import API, READ, eventually

HOUR = timedelta(hours=1)


@pytest.fixture
def engine(zone):
    made = Engine(configured(zone))
    yield made
    made.close()


def aged(opened: Opened) -> Opened:
    """The same, as if it had been opened an hour ago."""
    return replace(opened, since=opened.since - HOUR.total_seconds())


def test_a_session_is_used_again_until_it_is_about_to_end(engine, zone):
    plan = plan_transport([READ], API, HOUR / 4, ["label"])
    first = engine.run(renewed(engine.caller, plan, None, None))
    assert engine.run(renewed(engine.caller, plan, None, first)) is first
    second = engine.run(renewed(engine.caller, plan, None, aged(first)))
    assert second.standing.id != first.standing.id
    assert live_sessions(zone) == {second.standing.id, second.holder}


@pytest.mark.parametrize("which", ["inner", "holder"])
@pytest.mark.parametrize("verb", ["end", "suspend"])
def test_what_an_operator_ended_or_paused_is_not_replaced(engine, zone, which, verb):
    plan = plan_transport([READ], API, HOUR / 4, [])
    opened = engine.run(renewed(engine.caller, plan, None, None))
    session = opened.standing.id if which == "inner" else opened.holder
    if verb == "end":
        zone.kill(session)
    else:
        assert zone.operate("PATCH", f"agents/{session}/suspend").status_code == 200
    for _ in range(2):
        with pytest.raises(SessionEnded) as ended:
            engine.run(renewed(engine.caller, plan, None, aged(opened)))
        assert "ended" in ended.value.fix
    assert live_sessions(zone) <= {opened.holder}


def test_one_that_ended_by_itself_is_replaced(engine, zone):
    plan = plan_session(
        {"scopes": [READ], "resources": [API], "ttl": timedelta(seconds=1)}, Lifecycle.TASK, None
    )
    opened = engine.run(renewed(engine.caller, plan, None, None))
    eventually(lambda: status(zone, opened.standing.id) == "expired", seconds=30)
    again = engine.run(renewed(engine.caller, plan, None, aged(opened)))
    assert again.standing.id != opened.standing.id


def test_one_inside_a_session_that_was_left_is_not_renewed(engine, caracal):
    plan = plan_transport([READ], API, HOUR / 4, [])
    with caracal.session() as session:
        outer = Outer(session.standing, None)
        opened = engine.run(renewed(engine.caller, plan, outer, None))
    with pytest.raises(SessionEnded, match="block has ended"):
        engine.run(renewed(engine.caller, plan, outer, opened))


def test_a_transport_that_could_not_be_renewed_in_time_is_refused(caracal):
    with pytest.raises(InvalidRequest, match="two minutes"):
        caracal.transport(API, scopes=[READ], ttl=timedelta(seconds=60))
    with pytest.raises(InvalidRequest):
        caracal.transport(API, scopes=[])
