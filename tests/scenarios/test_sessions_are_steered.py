"""A session can be held and let go on, ends when its time is over, and belongs to one process."""

from tests.support.deployment import eventually, reason


def test_a_suspended_session_does_nothing_until_it_is_resumed(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    assert zone.operate("PATCH", f"agents/{authority.root}/suspend").json() == {"suspended": 2}
    answer = authority.use(mandate, "/json")
    assert (answer.status_code, reason(answer)) == (401, "mandate_revoked")
    assert not upstream.by_request(answer.headers["x-request-id"])
    assert authority.ask().status_code == 403
    assert zone.operate("PATCH", f"agents/{authority.root}/resume").json() == {"resumed": 2}
    assert authority.call("/json").status_code == 200


def test_a_task_ends_when_its_time_is_over_and_nothing_else_with_it(deployment):
    zone = deployment.zone()
    agent = zone.agent()
    above = agent.authority()
    short = above.hand_on(agent, agent.start(above.session, ttl_seconds=2))
    # Minting stops before: a mandate lives no longer than its session, and the Gateway wants 35 s.
    assert reason(short.call("/json")) == "mandate_expiring"
    ended = eventually(
        lambda: [
            item
            for item in zone.operate("GET", f"agents/{above.session}/children").json()["items"]
            if item["status"] == "expired"
        ],
        seconds=5,
    )
    assert (ended[0]["agent_session_id"], ended[0]["termination_reason"]) == (short.session, "ttl")
    assert short.ask().status_code == 403
    assert above.call("/json").status_code == 200


def test_a_service_is_fenced_off_by_whoever_takes_its_lease_over(deployment):
    agent = deployment.zone().agent()
    service = agent.start(lifecycle="service")
    beat = {"lease_generation": 1, "status": "healthy"}
    assert agent.steer("POST", f"agents/{service}/heartbeat", json=beat).status_code == 200
    taken = agent.steer("POST", f"agents/{service}/lease")
    assert (taken.status_code, taken.json()["lease_generation"]) == (200, 2)
    late = agent.steer("POST", f"agents/{service}/heartbeat", json=beat)
    assert (late.status_code, reason(late)) == (409, "session_lease_fenced")
    answer = agent.steer("POST", f"agents/{service}/heartbeat", json=beat | {"lease_generation": 2})
    assert answer.status_code == 200


def test_a_client_that_leaves_takes_its_call_along(deployment, upstream):
    authority = deployment.zone().agent().authority()
    with authority.stream("/events?left-alone") as answer:
        request_id = answer.headers["x-request-id"]
        [seen] = upstream.by_request(request_id)
    eventually(lambda: seen.gone)
    assert authority.agent.zone.entry(request_id, "call.result")["reason"] == "client_gone"
