"""T1: a mandate that was seen on its way is used again."""

import asyncio

from tests.support.deployment import gather_answers, reason

TIMES = 64


def test_of_many_uses_at_once_exactly_one_reaches_the_upstream(deployment, authority, upstream):
    mandate = authority.mint()
    path = f"/json?{authority.agent.zone.name}"
    url = f"{deployment.running.gateway}{path}"
    answers = asyncio.run(gather_answers(url, [authority.headers(mandate)] * TIMES))
    passed = [answer for answer in answers if answer.status_code == 200]
    assert len(passed) == 1
    assert {reason(it) for it in answers if it not in passed} == {"mandate_replayed"}
    assert len(upstream.to(path)) == 1
    allowed = authority.agent.zone.evidence(kind="call", verdict="allow")
    assert [entry["request"] for entry in allowed] == [passed[0].headers["x-request-id"]]


def test_a_mandate_that_was_refused_for_its_operation_is_spent_all_the_same(authority):
    mandate = authority.mint("api:read")
    assert authority.use(mandate, "/sink", "POST", content=b"x").status_code == 403
    assert reason(authority.use(mandate, "/json")) == "mandate_replayed"


def test_a_request_id_that_is_used_twice_mixes_nothing_up(authority):
    identity = {"x-request-id": f"same-{authority.session}"}
    first, second = (authority.call("/json", headers=identity) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    calls = authority.agent.zone.evidence(kind="call", request=identity["x-request-id"])
    assert len({entry["mandate"] for entry in calls}) == 2
