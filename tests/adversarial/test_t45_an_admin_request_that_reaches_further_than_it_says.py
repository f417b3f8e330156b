"""T45: a request of the admin API that would reach another zone, another field, or further than its token."""

import json

import pytest
from joserfc.jwk import ECKey

from tests.support.deployment import Zone, reason

WRITER = ["control:invoke", "control:scope:control:zone:read", "control:scope:control:zone:write"]
PUBLIC = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"}).as_dict(
    private=False
)


@pytest.fixture(scope="module")
def zone(deployment) -> Zone:
    return deployment.zone(
        applications=[
            {"name": "agent"},
            {"name": "writer", "traits": WRITER},
            {"name": "signs", "keys": [PUBLIC]},
            {"name": "signs-and-shows", "keys": [PUBLIC], "secret": "a-word-" * 5},
        ],
    )


@pytest.fixture(scope="module")
def other(deployment) -> Zone:
    return deployment.zone()


def ask(zone: Zone, method: str, path: str, *, token: str | None = None, **more):
    running = zone.deployment.running
    headers = {"authorization": f"Bearer {running.token if token is None else token}"}
    url = f"{running.control}/v1{path}"
    return zone.deployment.http.request(
        method, url, headers=headers | more.pop("headers", {}), **more
    )


def shown(zone: Zone):
    return ask(zone, "GET", f"/zones/{zone.id}").json()


def control_token(zone: Zone) -> str:
    scope = "control:zone:read control:zone:write"
    answer = zone.agent("writer").token(zone_id=None, resource="caracal-control", scope=scope)
    return answer.json()["access_token"]


@pytest.mark.parametrize("group", ["applications", "resources"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_id_of_another_zone_is_unknown_in_this_one(zone, other, group, method):
    foreign = shown(other)[group][0]["id"]
    before = shown(other)
    answer = ask(zone, method, f"/zones/{zone.id}/{group}/{foreign}", json={"name": "taken-over"})
    assert (answer.status_code, reason(answer)) == (404, "entry_unknown")
    assert answer.json()["error"] == group[:-1] + "_not_found"
    assert shown(other) == before


def test_a_resource_can_not_use_the_credential_of_another_zone(zone, other):
    made = ask(
        other,
        "POST",
        f"/zones/{other.id}/providers",
        json={"name": "theirs", "kind": "none"},
    ).json()
    answer = ask(
        zone,
        "PATCH",
        f"/zones/{zone.id}/resources/{shown(zone)['resources'][0]['id']}",
        json={"credential_provider_id": made["id"]},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "provider_not_found")


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("applications", "id", "x"),
        ("applications", "zone_id", "x"),
        ("applications", "enabled", True),
        ("applications", "secret_hash", "x"),
        ("applications", "secret", "x"),
        ("applications", "created_by", "somebody"),
        ("resources", "kind", "mcp"),
        ("resources", "provider_id", "x"),
        ("providers", "sealed_credential", "x"),
        ("subject-issuers", "zone_id", "x"),
    ],
)
def test_a_field_that_is_not_the_clients_to_set_is_refused_by_name(zone, group, field, value):
    before = shown(zone)
    body = {
        "applications": {"name": "mass"},
        "resources": {
            "identifier": "resource://mass",
            "scopes": ["a"],
            "upstream_url": "https://a.example",
        },
        "providers": {"name": "mass", "kind": "none"},
        "subject-issuers": {
            "issuer": "https://i.example",
            "jwks_url": "https://i.example/k",
            "audience": "a",
        },
    }[group]
    answer = ask(zone, "POST", f"/zones/{zone.id}/{group}", json=body | {field: value})
    assert answer.status_code == 400
    assert answer.json()["details"]["issues"][0]["path"] == [field]
    assert shown(zone) == before


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "one", "name": "two"}',
        b'{"name": "one"',
        b"[]",
        b'"text"',
        b'{"name": "' + b"\xff" + b'"}',
        b'{"name": 7}',
        b'{"name": "a", "traits": ["control:everything"]}',
        b'{"name": "a", "traits": ["x", "x"]}',
        b"[" * 5000,
        json.dumps({"name": "n" * 201}).encode(),
        json.dumps({"name": "line\nbreak"}).encode(),
    ],
)
def test_a_body_that_is_not_what_it_should_be_makes_nothing(zone, body):
    before = shown(zone)
    headers = {"content-type": "application/json"}
    answer = ask(zone, "POST", f"/zones/{zone.id}/applications", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] in {"invalid_application", "invalid_body"}
    assert shown(zone) == before


def test_a_body_beyond_the_limit_is_not_read(zone):
    answer = ask(zone, "POST", f"/zones/{zone.id}/applications", content=b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["error"]) == (413, "content_too_large")


@pytest.mark.parametrize("token", [".", "nonsense", "cat_" + "A" * 43])
def test_without_a_token_nothing_is_said(zone, token):
    for method, path in (
        ("GET", "/zones"),
        ("POST", "/zones"),
        ("GET", f"/zones/{zone.id}/applications"),
        ("GET", f"/zones/{zone.id}/audit"),
        ("GET", f"/zones/{zone.id}/sessions"),
        ("POST", f"/zones/{zone.id}/subjects/revoke"),
        ("POST", f"/zones/{zone.id}/grants"),
    ):
        answer = ask(zone, method, path, token=token, json={} if method == "POST" else None)
        assert answer.status_code == 401, path
        assert answer.json()["error"] == "invalid_admin_token"


def test_a_token_that_may_only_read_changes_nothing_and_is_on_record(zone):
    reader = ask(zone, "POST", "/operators", json={"name": "reader", "scopes": ["read"]}).json()
    token = reader["token"]
    assert ask(zone, "GET", f"/zones/{zone.id}/applications", token=token).status_code == 200
    before = shown(zone)
    agent = before["applications"][0]["id"]
    for method, path in (
        ("POST", f"/zones/{zone.id}/applications"),
        ("PATCH", f"/zones/{zone.id}/applications/{agent}"),
        ("POST", f"/zones/{zone.id}/applications/{agent}/rotate-secret"),
        ("DELETE", f"/zones/{zone.id}/applications/{agent}"),
        ("DELETE", f"/zones/{zone.id}"),
    ):
        answer = ask(zone, method, path, token=token, json={})
        assert (answer.status_code, answer.json()["error"]) == (403, "admin_token_read_only")
    assert shown(zone) == before
    refused = zone.evidence(kind="admin.refused")
    assert {entry["actor"].partition(" ")[0] for entry in refused} >= {"reader"}


def test_a_control_key_reaches_neither_another_zone_nor_a_control_key(zone, other):
    writer = next(one for one in shown(zone)["applications"] if one["name"] == "writer")
    for method, path, body, error in (
        ("POST", f"/zones/{other.id}/applications", {"name": "x"}, "admin_token_zone_mismatch"),
        ("DELETE", f"/zones/{other.id}", None, "admin_token_zone_mismatch"),
        ("POST", "/zones", {"name": "x"}, "admin_token_zone_mismatch"),
        ("DELETE", f"/zones/{zone.id}/applications/{writer['id']}", None, None),
        ("PATCH", f"/zones/{zone.id}/applications/{writer['id']}", {"traits": []}, None),
        ("POST", f"/zones/{zone.id}/applications/{writer['id']}/rotate-secret", None, None),
        ("POST", f"/zones/{zone.id}/applications", {"name": "more", "traits": WRITER}, None),
        ("DELETE", f"/zones/{zone.id}", None, None),
    ):
        answer = ask(zone, method, path, token=control_token(zone), json=body)
        assert answer.status_code == 403, (path, answer.text)
        wanted = error or "control_key_protected"
        assert wanted in {answer.json()["error"], answer.json()["reason"]}
    assert any(one["name"] == "writer" for one in shown(zone)["applications"])


def test_no_answer_holds_a_secret_that_is_kept(zone):
    word = "word-of-the-upstream-" * 3
    answers = [
        ask(
            zone,
            "POST",
            f"/zones/{zone.id}/providers",
            json={
                "name": "sealed",
                "kind": "bearer_token",
                "config_json": {"bearer_token": word},
            },
        )
    ]
    one = f"/zones/{zone.id}/providers/{answers[0].json()['id']}"
    answers += [
        ask(zone, "GET", one),
        ask(zone, "GET", f"/zones/{zone.id}"),
        ask(zone, "GET", f"/zones/{zone.id}/admin-audit"),
        ask(
            zone,
            "PATCH",
            one,
            json={"config_json": {"bearer_token": word, "auth_header": "Host"}},
        ),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 400]
    assert not any(word in answer.text for answer in answers)


def test_in_a_zone_that_is_put_away_nothing_goes_on_nor_comes_back_with_its_name(deployment):
    zone = deployment.zone()
    agent = zone.agent()
    authority = agent.authority()
    before = authority.mint()
    assert authority.use(authority.mint(), "/json").status_code == 200
    assert ask(zone, "DELETE", f"/zones/{zone.id}").status_code == 204

    def refused():
        assert authority.use(before, "/json").status_code in {401, 403}
        assert authority.ask().status_code in {400, 401}

    refused()
    name = zone.document["zone"]
    assert ask(zone, "POST", "/zones", json={"name": name, "slug": name}).status_code == 409
    for method, path in (
        ("GET", ""),
        ("POST", "/applications"),
        ("GET", "/policies"),
        ("POST", "/policy-sets"),
    ):
        answer = ask(zone, method, f"/zones/{zone.id}{path}", json={"name": "x"})
        assert (answer.status_code, reason(answer)) == (404, "zone_unknown"), path
    kept = zone.id
    zone.apply()
    assert zone.id == kept
    refused()


@pytest.mark.parametrize("name", ["signs", "signs-and-shows"])
def test_an_application_that_signs_neither_gets_a_secret_nor_loses_one_by_rotation(zone, name):
    one = next(one for one in shown(zone)["applications"] if one["name"] == name)
    before = shown(zone)
    path = f"/zones/{zone.id}/applications/{one['id']}/rotate-secret"
    answer = ask(zone, "POST", path)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_application")
    assert shown(zone) == before


def test_a_config_that_says_nothing_of_hosts_lets_the_credential_go_no_further(zone):
    word = "word-of-the-upstream-" * 2
    config = {"bearer_token": word, "allowed_token_hosts": ["api.example"]}
    every = f"/zones/{zone.id}/providers"
    body = {"name": "pinned", "kind": "bearer_token", "config_json": config}
    one = f"{every}/{ask(zone, 'POST', every, json=body).json()['id']}"

    def hosts_after(**config):
        answer = ask(zone, "PATCH", one, json={"config_json": config})
        assert answer.status_code == 200, answer.text
        return answer.json()["config_json"].get("allowed_token_hosts", [])

    assert hosts_after(auth_scheme="Token") == ["api.example"]
    assert hosts_after(bearer_token=word[::-1]) == ["api.example"]
    assert hosts_after(allowed_token_hosts=["other.example"]) == ["other.example"]
    assert hosts_after(allowed_token_hosts=[]) == []


def test_what_an_operator_does_to_policy_documents_is_among_what_operators_do(zone):
    made = ask(zone, "POST", f"/zones/{zone.id}/policy-sets", json={"name": "watched"}).json()

    def rows(log, **query):
        return ask(zone, "GET", f"/zones/{zone.id}/{log}", params=query).json()["items"]

    (row,) = rows("admin-audit", entity_id=made["id"])
    assert (row["action"], row["entity_type"]) == ("policy.document", "policy")
    assert "policy.document" not in {row["event_type"] for row in rows("audit")}


@pytest.mark.parametrize("zone_id", ["..", "%2e%2e", "none", "'", "x" * 129, "%00"])
def test_a_zone_that_is_none_is_not_found(zone, zone_id):
    for path in ("applications", "sessions", "audit", "grants"):
        answer = ask(zone, "GET", f"/zones/{zone_id}/{path}")
        assert answer.status_code in {400, 404}, path
