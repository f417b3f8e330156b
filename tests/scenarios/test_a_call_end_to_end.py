"""An agent that holds only its own credential gets a real answer; what it may not is refused."""

from tests.support.deployment import READ, WRITE, reason


def test_a_call_reaches_the_upstream_and_both_its_ends_are_on_record(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    answer = authority.call("/json")
    assert (answer.status_code, answer.json()) == (200, {"rows": [1, 2, 3]})
    request_id = answer.headers["x-request-id"]
    [seen] = upstream.by_request(request_id)
    assert (seen.method, seen.target) == ("GET", "/json")
    decision = zone.entry(request_id, "call")
    assert (decision["verdict"], decision["session"]) == ("allow", authority.session)
    result = zone.entry(request_id, "call.result")
    assert (result["status"], result["received_bytes"]) == (200, 19)
    assert result["mandate"] == decision["mandate"]
    assert zone.verify_evidence().entries >= 8


def test_a_mandate_for_reading_does_not_write(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    answer = authority.use(authority.mint(READ), "/sink", "POST", content=b"rows")
    assert (answer.status_code, reason(answer)) == (403, "operation_scope_missing")
    assert WRITE in answer.text
    request_id = answer.headers["x-request-id"]
    assert zone.entry(request_id, "call")["verdict"] == "refuse"
    assert not upstream.by_request(request_id)
