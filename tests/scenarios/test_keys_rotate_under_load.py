"""Every key and secret is rotated while agents work, and no call of theirs fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from caracal.evidence.bundle import verify_bundle
from caracal.evidence.notes import VerifierKey, parse_verifier_key
from tests.support.deployment import API, Authority, Deployment, Zone, deployed, eventually
from tests.support.load import CALLS_AFTER, under_load
from tests.support.running import Running, running_caracal, start_caracal

CREDENTIAL = "the-upstream-credential-that-is-resealed"


@pytest.fixture(scope="module")
def server(tmp_path_factory, upstream) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("rotation") / "data"
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    with running_caracal(data, environment=egress) as running:
        yield running


@pytest.fixture
def deployment(server, upstream) -> Iterator[Deployment]:
    with deployed(server, upstream) as it:
        yield it


def zone_with_credential(deployment: Deployment) -> Zone:
    resource = {
        "identifier": API,
        "upstream": deployment.upstream.url,
        "provider": "shop",
        "operations": {"GET /{path*}": "api:read"},
    }
    provider = {"name": "shop", "kind": "bearer_token", "secret": CREDENTIAL}
    return deployment.zone(providers=[provider], resources=[resource])


def calls(zone: Zone, authority: Authority) -> Callable[[], int]:
    """Mint with the secret that the agent has by now, and call with the credential."""

    def work() -> int:
        answer = replace(authority, agent=zone.agent()).call("/json")
        received = zone.deployment.upstream.by_request(answer.headers["x-request-id"])
        assert [one.header("authorization") for one in received] == [f"Bearer {CREDENTIAL}"]
        return answer.status_code

    return work


def operate(deployment: Deployment, path: str) -> httpx.Response:
    url = f"{deployment.running.control}/v1/{path}"
    return deployment.http.post(url, headers=deployment.operator)


def published(zone: Zone) -> set[str]:
    keys = zone.keys()
    return {key["kid"] for key in keys}


def log_key(zone: Zone) -> VerifierKey:
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    text = zone.deployment.http.get(url, headers=zone.deployment.operator).text
    return parse_verifier_key(text.strip())


def export(zone: Zone) -> list[bytes]:
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/export"
    answer = zone.deployment.http.get(url, headers=zone.deployment.operator)
    return answer.content.splitlines(keepends=True)


def test_signing_keys_rotate_and_no_call_fails(deployment, server):
    zone = zone_with_credential(deployment)
    before = published(zone)
    with under_load(calls(zone, zone.agent().authority())):
        server.ask("key", "rotate", "--zone", zone.name)
    assert published(zone) > before


def test_sealing_keys_rotate_and_no_call_fails(deployment, server):
    zone = zone_with_credential(deployment)
    keys = {path.name: path.read_bytes() for path in (server.data / "keys").iterdir()}
    with under_load(calls(zone, zone.agent().authority())):
        done = server.ask("key", "reseal")
    assert done["signing_keys"] >= 1
    assert done["credentials"] >= 1
    changed = {path.name: path.read_bytes() for path in (server.data / "keys").iterdir()}
    assert changed.keys() == keys.keys()
    assert {name for name in keys if keys[name] != changed[name]} == {
        "sts-seal.key",
        "gateway-opening.key",
        "control-sealing.key",
    }
    zone.apply(policy=zone.document["policy"] + "\n")
    assert zone.agent().authority().call("/json").status_code == 200


def test_log_keys_rotate_and_no_call_and_no_proof_fails(deployment, server):
    zone = zone_with_credential(deployment)
    known = log_key(zone)
    with under_load(calls(zone, zone.agent().authority())) as load:
        assert server.ask("key", "rotate-log") == {"signing": 2}
        load.after(CALLS_AFTER)
        following = log_key(zone)
        assert following != known
        for key in (known, following):
            assert verify_bundle(export(zone), key).key == key
        assert server.ask("key", "retire-log") == {"signing": 1}
    assert verify_bundle(export(zone), following).key == following
    assert {entry["target"] for entry in zone.evidence(kind="key.rotate")} == {"evidence log"}
    assert deployment.ready()["ready"]


def test_application_secrets_rotate_and_no_call_fails(deployment, server, tmp_path):
    zone = zone_with_credential(deployment)
    application, before = zone.applications["agent"]
    file = tmp_path / "agent.secret"
    with under_load(calls(zone, zone.agent().authority())) as load:
        arguments = ["--zone", zone.name, "--overlap", "600", "--output", str(file)]
        made = server.ask("application", "renew", "agent", *arguments)
        assert "secret" not in made
        load.after(CALLS_AFTER)
        zone.applications["agent"] = (application, file.read_text().strip())
    assert zone.applications["agent"][1] != before
    assert file.stat().st_mode & 0o777 == 0o600
    server.ask("application", "renew", "agent", "--zone", zone.name)
    assert zone.agent().token(scope="api:read", resource=API).status_code == 401


def test_operator_tokens_rotate_and_no_request_of_an_operator_fails(deployment, server, tmp_path):
    made = tmp_path / "deploy.token"
    following = tmp_path / "deploy-2.token"
    arguments = ["--scope", "read", "--scope", "write", "--output"]
    created = server.ask("operator", "create", "deploy", *arguments, str(made))
    holder, using = [made], []

    def operate() -> int:
        file = holder[0]
        using.append(file)
        headers = {"authorization": f"Bearer {file.read_text().strip()}"}
        status = deployment.http.get(f"{server.control}/v1/zones", headers=headers).status_code
        using.remove(file)
        return status

    with under_load(operate) as load:
        rotated = server.ask(
            "operator", "rotate", created["id"], "--output", str(following), "--keep"
        )
        assert (rotated["name"], rotated["scopes"]) == ("deploy-2", created["scopes"])
        load.after(CALLS_AFTER)
        holder[0] = following
        load.after(CALLS_AFTER)
        eventually(lambda: made not in using)
        server.ask("operator", "revoke", created["id"])
    last = tmp_path / "deploy-3.token"
    server.ask("operator", "rotate", rotated["id"], "--output", str(last))
    assert operate() == 401
    assert last.read_text().startswith("ct_")


def test_whatever_was_rotated_is_there_after_a_restart(tmp_path, upstream):
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    running = start_caracal(tmp_path / "data", environment=egress)
    with deployed(running, upstream) as it:
        zone = zone_with_credential(it)
        known = log_key(zone)
        for path in (f"zones/{zone.name}/keys/rotate", "keys/reseal", "evidence/key/rotate"):
            assert operate(it, path).status_code == 200
        assert running.stop() == 0
    with (
        running_caracal(tmp_path / "data", environment=egress) as again,
        deployed(again, upstream) as it,
    ):
        zone = replace(zone, deployment=it)
        assert zone.agent().authority().call("/json").status_code == 200
        assert verify_bundle(export(zone), known).key == known
        assert operate(it, "evidence/key/retire").json() == {"signing": 1}
        assert operate(it, "evidence/key/retire").status_code == 400
        assert verify_bundle(export(zone), log_key(zone)).entries
        assert operate(it, "keys/reseal").json() == {"signing_keys": 3, "credentials": 1}
