"""Keys and secrets rotate under load where each service is a process of its own, and no call fails."""

from collections.abc import Callable

from caracal.evidence.bundle import verify_bundle
from caracal.evidence.notes import VerifierKey, parse_verifier_key
from tests.support.deployment import Deployment, Zone, eventually
from tests.support.load import CALLS_AFTER, under_load


def calls(zone: Zone) -> Callable[[], int]:
    authority = zone.agent().authority()

    def work() -> int:
        return authority.call("/json").status_code

    return work


def operate(deployment: Deployment, path: str, **query: int) -> dict:
    url = f"{deployment.running.control}{path}"
    answer = deployment.http.post(url, params=query, headers=deployment.operator)
    assert answer.status_code == 200, answer.text
    return answer.json()


def log_key(zone: Zone) -> VerifierKey:
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    text = zone.deployment.http.get(url, headers=zone.deployment.operator).text
    return parse_verifier_key(text.strip())


def export(zone: Zone) -> list[bytes]:
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/export"
    answer = zone.deployment.http.get(url, headers=zone.deployment.operator)
    return answer.content.splitlines(keepends=True)


def test_signing_keys_rotate_and_no_call_fails(deployment):
    zone = deployment.zone()
    with under_load(calls(zone)):
        operate(deployment, f"/v1/zones/{zone.id}/keys/rotate")
    assert len(zone.keys()) == 3


def test_the_key_of_the_logs_rotates_at_audit_and_no_call_and_no_proof_fails(deployment):
    zone = deployment.zone()
    known = log_key(zone)
    with under_load(calls(zone)) as load:
        assert operate(deployment, "/v1/evidence/key/rotate") == {"signing": 2}
        load.after(CALLS_AFTER)
        following = log_key(zone)
        for key in (known, following):
            assert verify_bundle(export(zone), key).key == key
        assert operate(deployment, "/v1/evidence/key/retire") == {"signing": 1}
    assert verify_bundle(export(zone), following).key == following
    assert following != known


def test_secrets_of_applications_rotate_and_no_call_fails(deployment):
    zone = deployment.zone()
    application, before = zone.applications["agent"]
    path = f"/v1/zones/{zone.id}/applications/agent/secret"
    with under_load(calls(zone)):
        made = operate(deployment, path, overlap_seconds=600)
    zone.applications["agent"] = (application, made["secret"])
    assert zone.agent().authority().call("/json").status_code == 200
    assert made["secret"] != before
    operate(deployment, path)
    zone.applications["agent"] = (application, before)
    asked = {"scope": "api:read", "resource": "resource://api"}
    assert zone.agent().token(**asked).status_code == 401


def test_operator_tokens_rotate_and_no_request_of_an_operator_fails(deployment):
    control = deployment.running.control

    def made(name: str) -> dict:
        body = {"name": name, "scopes": ["read"]}
        url = f"{control}/v1/operators"
        return deployment.http.post(url, json=body, headers=deployment.operator).json()

    before, following = made("apart"), made("apart-2")
    holder, using = [before["token"]], []

    def ask_for_evidence() -> int:
        """Audit asks Control who the operator is."""
        token = holder[0]
        using.append(token)
        headers = {"authorization": f"Bearer {token}"}
        status = deployment.http.get(f"{control}/v1/evidence/key", headers=headers).status_code
        using.remove(token)
        return status

    with under_load(ask_for_evidence) as load:
        holder[0] = following["token"]
        load.after(CALLS_AFTER)
        eventually(lambda: before["token"] not in using)
        url = f"{control}/v1/operators/{before['id']}"
        assert deployment.http.delete(url, headers=deployment.operator).status_code == 204
    holder[0] = before["token"]
    assert ask_for_evidence() == 401
