"""From a user's sign-in at an OpenID provider to a call on their behalf, and to its end."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from caracal.tokens.base64url import decode
from tests.support.deployment import API, READ, Agent, Authority, Zone, deployed, reason
from tests.support.openid import Provider, openid_provider
from tests.support.running import running_caracal

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="module")
def trusting(tmp_path_factory, upstream, provider):
    """A server that may reach the provider and verify its certificate."""
    environment = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": f"{upstream.authority},{provider.authority}",
        "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
    }
    data = tmp_path_factory.mktemp("federating") / "data"
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        yield it


@pytest.fixture
def zone(trusting, provider) -> Zone:
    return trusting.zone(subject_issuers=[provider.trust])


def federate(agent: Agent, token: str, **fields):
    return agent.token(subject_token=token, subject_token_type=ID_TOKEN, **fields)


def proof(agent: Agent, token: str, **fields) -> dict[str, str]:
    answer = federate(agent, token, **fields)
    assert answer.status_code == 200, answer.text
    mandate = answer.json()["access_token"]
    return {"subject_session_id": claims(mandate)["sid"], "subject_token": mandate}


def claims(mandate: str) -> dict:
    return json.loads(decode(mandate.split(".")[1].encode()))


def working_for(agent: Agent, token: str) -> Authority:
    root = agent.start(**proof(agent, token), ttl_seconds=600)
    return agent.hand_on(root, agent.start(root), agent)


def revoke(zone: Zone, provider: Provider, name: str):
    body = {"issuer": provider.url, "subject_id": name, "reason": "left"}
    return zone.operate("POST", "subjects/revoke", json=body)


def test_a_call_is_made_on_behalf_of_a_user_and_the_evidence_names_them(zone, provider, upstream):
    authority = working_for(zone.agent(), provider.token("ann"))
    mandate = authority.mint()
    said = claims(mandate)
    assert (said["sub"], said["sub_iss"], said["sub_type"]) == ("ann", provider.url, "user")
    assert said["act"] == {"sub": authority.agent.application}
    answer = authority.use(mandate, "/json")
    assert answer.status_code == 200
    call = zone.entry(answer.headers["x-request-id"], "call")
    assert (call["subject"], call["subject_issuer"]) == ("ann", provider.url)
    assert call["application"] == authority.agent.application
    assert upstream.by_request(answer.headers["x-request-id"])

    [federated] = [
        entry
        for entry in zone.evidence(kind="exchange")
        if not entry.get("scopes") and entry.get("policies") == ["caracal-subject-federation"]
    ]
    assert (federated["verdict"], federated["subject"]) == ("allow", "ann")
    zone.verify_evidence()


def test_an_upstream_that_verifies_mandates_learns_for_whom_it_works(trusting, provider, upstream):
    [resource] = trusting.zone().document["resources"]
    zone = trusting.zone(
        subject_issuers=[provider.trust],
        providers=[{"name": "mandates", "kind": "caracal_mandate"}],
        resources=[resource | {"provider": "mandates"}],
    )
    answer = working_for(zone.agent(), provider.token("ann")).call()
    assert answer.status_code == 200
    [seen] = upstream.by_request(answer.headers["x-request-id"])
    said = claims(seen.header("authorization").removeprefix("Bearer "))
    assert (said["use"], said["sub"], said["sub_iss"]) == ("resource", "ann", provider.url)


def test_a_users_mandate_opens_nothing_by_itself(zone, provider):
    agent = zone.agent()
    body = proof(agent, provider.token("bob"))
    control, gateway = zone.deployment.running.control, zone.deployment.running.gateway
    headers = {"authorization": f"Bearer {body['subject_token']}"}
    http = zone.deployment.http
    call = http.get(f"{gateway}/json", headers=headers | {"x-caracal-resource": API})
    assert (call.status_code, reason(call)) == (401, "mandate_class")
    start = http.post(
        f"{control}/zones/{zone.id}/agents",
        json={"application_id": agent.application},
        headers=headers,
    )
    assert (start.status_code, reason(start)) == (403, "scope_missing")


def test_sixty_four_attempts_with_one_token_yield_one_mandate(zone, provider):
    agent, token = zone.agent(), provider.token("eve")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: federate(agent, token), range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 63
    assert {reason(answer) for answer in answers if answer.status_code == 401} == {
        "subject_token_replayed"
    }


def test_another_application_can_not_use_the_proof(zone, provider):
    stolen = proof(zone.agent(), provider.token("ann"))
    helper = zone.agent("helper")
    body = {"application_id": helper.application} | stolen
    answer = helper.steer("POST", "agents", json=body)
    assert (answer.status_code, reason(answer)) == (403, "subject_token_mismatch")


def test_forged_and_foreign_tokens_are_refused_and_recorded(zone, provider, tmp_path):
    agent = zone.agent()
    with openid_provider(tmp_path) as stranger:
        foreign = stranger.token("ann")
        forged = stranger.token("ann", iss=provider.url)
    for token, why in ((foreign, "subject_issuer_unknown"), (forged, "subject_token_signature")):
        answer = federate(agent, token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert reason(answer) == why
        entry = zone.entry(answer.headers["x-request-id"], "exchange")
        assert (entry["verdict"], entry["reason"]) == ("refuse", why)


def test_killing_a_user_ends_their_sessions_and_nobody_elses(zone, provider):
    agent = zone.agent()
    ann, dan = working_for(agent, provider.token("ann")), working_for(agent, provider.token("dan"))
    in_flight, early = ann.mint(), provider.token("ann")
    assert ann.call().status_code == 200

    answer = revoke(zone, provider, "ann")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["sessions"], answer.json()["delegations"]) == (2, 1)

    used = ann.use(in_flight, "/json")
    assert (used.status_code, reason(used)) == (401, "mandate_revoked")
    minted = ann.ask(READ)
    assert (minted.status_code, reason(minted)) == (403, "session_unknown")
    again = federate(agent, early)
    assert (again.status_code, reason(again)) == (401, "subject_revoked")
    assert dan.call().status_code == 200
    [entry] = zone.evidence(kind="subject.revoke")
    assert (entry["target"], entry["subject_issuer"]) == ("ann", provider.url)


def test_keys_are_not_fetched_where_egress_or_trust_do_not_allow_it(deployment, provider):
    """The shared server knows nothing of the provider: neither its address nor its certificate."""
    zone = deployment.zone(subject_issuers=[provider.trust])
    fetched = len(provider.fetched)
    answer = federate(zone.agent(), provider.token("ann"))
    assert (answer.status_code, reason(answer)) == (401, "subject_keys_unavailable")
    assert len(provider.fetched) == fetched
    entry = zone.entry(answer.headers["x-request-id"], "exchange")
    assert "loopback" in entry["detail"]
    assert "loopback" not in answer.text


def test_a_redirect_is_not_followed(trusting, provider):
    issuer = provider.trust | {"jwks_url": f"{provider.url}/moved"}
    zone = trusting.zone(subject_issuers=[issuer])
    provider.redirects = True
    try:
        answer = federate(zone.agent(), provider.token("ann"))
    finally:
        provider.redirects = False
    assert (answer.status_code, reason(answer)) == (401, "subject_keys_unavailable")
    assert "/elsewhere" not in provider.fetched


def test_an_issuer_that_is_taken_out_vouches_for_nobody_any_more(zone, provider):
    agent = zone.agent()
    assert federate(agent, provider.token("ann")).status_code == 200
    zone.apply(subject_issuers=[])
    answer = federate(agent, provider.token("ann"))
    assert (answer.status_code, reason(answer)) == (401, "subject_issuer_unknown")
