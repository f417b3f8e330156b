"""T4: an application's secret is stolen, guessed, or tried in another zone."""

from tests.support.deployment import API, reason


def test_a_secret_opens_its_own_zone_only(deployment):
    mine, other = deployment.zone(), deployment.zone()
    agent = mine.agent()
    answer = agent.token(scope="agent:lifecycle", resource=API, zone_id=other.id)
    assert (answer.status_code, reason(answer)) == (403, "client_zone_mismatch")
    answer = agent.token(
        scope="agent:lifecycle", resource=API, application_id=other.agent().application
    )
    assert (answer.status_code, reason(answer)) == (401, "client_secret_wrong")
    for zone in (mine, other):
        assert not zone.evidence(kind="session.start")


def test_guessing_is_held_off_without_locking_the_owner_out_or_filling_the_log(deployment):
    zone = deployment.zone()
    agent = zone.agent()
    fields = {"scope": "agent:lifecycle", "resource": API}
    answers = [agent.token(client_secret=f"cs_{number:043}", **fields) for number in range(30)]
    assert {reason(it) for it in answers} == {"client_secret_wrong", "client_throttled"}
    throttled = [it for it in answers if reason(it) == "client_throttled"]
    assert len(throttled) >= 15
    assert all(it.status_code == 429 and it.headers["retry-after"] for it in throttled)
    # A generated secret can not be guessed, so its owner is not locked out by who tries.
    assert agent.token(**fields).status_code == 200
    assert len(zone.evidence(kind="exchange", verdict="refuse")) <= 15
    assert zone.agent("helper").token(**fields).status_code == 200


def test_what_is_unknown_and_what_is_wrong_are_answered_alike(deployment):
    agent = deployment.zone().agent()
    fields = {"scope": "agent:lifecycle", "resource": API}
    wrong = agent.token(client_secret="cs_" + "x" * 43, **fields)
    unknown = agent.token(application_id="01m880rck445knwnp5nxmv0dxn", **fields)
    for answer in (wrong, unknown):
        assert answer.status_code == 401
    assert wrong.json()["error_description"] == unknown.json()["error_description"]


def test_a_renewed_secret_puts_the_stolen_one_out_of_use(deployment):
    zone = deployment.zone()
    stolen = zone.agent()
    renewed = deployment.http.post(
        f"{deployment.running.control}/v1/zones/{zone.name}/applications/agent/secret",
        headers=deployment.operator,
    )
    assert renewed.status_code == 200, renewed.text
    fields = {"scope": "agent:lifecycle", "resource": API}
    assert stolen.token(**fields).status_code == 401
    assert stolen.token(client_secret=renewed.json()["secret"], **fields).status_code == 200
