"""A change of policy or key counts from the next request on, and breaks nothing that is under way."""

from tests.support.deployment import PERMIT_ALL, reason

FORBID_WRITES = (
    PERMIT_ALL + '@id("frozen")\nforbid (principal, action == Action::"api:write", resource);\n'
)


def test_a_policy_change_takes_effect_on_the_next_call(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    early = authority.mint("api:write")
    assert authority.call("/sink", "POST", content=b"x").status_code == 200

    zone.apply(policy=FORBID_WRITES)

    answer = authority.use(early, "/sink", "POST", content=b"x")
    assert (answer.status_code, reason(answer)) == (403, "policy_forbid")
    assert not upstream.by_request(answer.headers["x-request-id"])
    decision = zone.entry(answer.headers["x-request-id"], "call")
    assert decision["policies"] == ["frozen"]
    refused = authority.ask("api:write")
    assert (refused.status_code, reason(refused)) == (403, "policy_forbid")
    assert authority.call("/json").status_code == 200

    zone.apply(policy=None)
    refused = authority.ask()
    assert (refused.status_code, reason(refused)) == (403, "policy_none_active")


def test_the_key_before_stays_good_when_a_new_one_signs(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    early = authority.mint()
    before, following = zone.keys()
    control = deployment.running.control
    answer = deployment.http.post(
        f"{control}/v1/zones/{zone.name}/keys/rotate", headers=deployment.operator
    )
    assert answer.status_code == 200, answer.text
    now = zone.keys()
    assert (now[0], now[-1], len(now)) == (following, before, 3)
    assert authority.use(early, "/json").status_code == 200
    assert authority.call("/json").status_code == 200
    assert zone.evidence(kind="key.rotate")


def test_an_upstream_that_moved_is_called_where_it_is_now(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    [resource] = zone.document["resources"]
    zone.apply(resources=[resource | {"upstream": f"{upstream.url}/echo"}])
    assert authority.use(mandate, "/v2").json()["target"] == "/echo/v2"
