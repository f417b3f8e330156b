"""Grants written as data documents: kept, tried, put into effect, and followed as the zone changes."""

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from tests.support.deployment import API, PERMIT_ALL, READ, WRITE, Zone, reason, unique

HEAD = "# caracal:data-document\npackage caracal.authz\nimport rego.v1\n"


class Admin:
    """The admin API of one zone, as its operator."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def ask(self, method: str, path: str, body: object = None, **more):
        url = f"{self.zone.deployment.running.control}/v1/zones/{self.zone.id}{path}"
        operator = {"headers": self.zone.deployment.operator}
        return self.zone.deployment.http.request(method, url, json=body, **(operator | more))

    def good(self, method: str, path: str, body: object = None):
        answer = self.ask(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def policy(self, content: str) -> dict:
        return self.good("POST", "/policies", {"name": unique("policy"), "content": content})

    def set_of(self, *versions: str) -> tuple[str, str]:
        made = self.good("POST", "/policy-sets", {"name": unique("set")})
        return made["id"], self.version(made["id"], *versions)

    def version(self, set_id: str, *versions: str) -> str:
        manifest = [{"policy_version_id": one} for one in versions]
        path = f"/policy-sets/{set_id}/versions"
        return self.good("POST", path, {"manifest": manifest})["version_id"]

    def activate(self, set_id: str, version: str) -> dict:
        return self.good("POST", f"/policy-sets/{set_id}/activate", {"version_id": version})

    def put(self, content: str) -> str:
        set_id, version = self.set_of(self.policy(content)["version_id"])
        self.activate(set_id, version)
        return set_id


def granting(application: str, *scopes: str, role: str = "worker") -> str:
    grants = {API: {"application": "it", "roles": {role: list(scopes)}}}
    return f"{HEAD}app_ids := {json.dumps({'it': application})}\ngrants := {json.dumps(grants)}\n"


@pytest.fixture
def zone(deployment) -> Zone:
    return deployment.zone(policy=None)


@pytest.fixture
def admin(zone) -> Admin:
    return Admin(zone)


def minted(zone: Zone, scope: str = READ, label: str = "worker", agent: str = "agent"):
    who = zone.agent(agent)
    root = who.start()
    return who.hand_on(root, who.start(root, labels=[label]), who).ask(scope)


def test_a_grant_takes_effect_at_activation_and_no_further_than_it_says(zone, admin):
    assert reason(minted(zone)) == "policy_none_active"
    application = zone.agent().application
    set_id, version = admin.set_of(admin.policy(granting(application, READ))["version_id"])
    assert reason(minted(zone)) == "policy_none_active"
    assert admin.activate(set_id, version)["unmatched"] == []
    assert minted(zone).status_code == 200
    for asked in ({"scope": WRITE}, {"label": "visitor"}, {"agent": "helper"}):
        assert reason(minted(zone, **asked)) == "policy_no_permit", asked
    entry = zone.evidence(kind="exchange", verdict="allow")
    assert any(one.get("policies") == [f"worker on {API}"] for one in entry)


def test_a_call_is_refused_once_the_grant_is_gone(zone, admin):
    application = zone.agent().application
    policy = admin.policy(granting(application, READ))
    set_id, version = admin.set_of(policy["version_id"])
    admin.activate(set_id, version)
    agent = zone.agent()
    root = agent.start()
    authority = agent.hand_on(root, agent.start(root, labels=["worker"]), agent)
    mandate = authority.mint()
    assert authority.use(authority.mint(), "/json").status_code == 200
    path = f"/policies/{policy['id']}/versions"
    added = admin.good("POST", path, {"content": granting(application)})
    assert added["version"] == 2
    admin.activate(set_id, admin.version(set_id, added["version_id"]))
    assert reason(authority.use(mandate, "/json")) == "policy_no_permit"
    admin.activate(set_id, version)
    assert authority.use(authority.mint(), "/json").status_code == 200


def test_deleting_the_active_set_leaves_nothing_permitted(zone, admin):
    set_id = admin.put(granting(zone.agent().application, READ))
    other, _ = admin.set_of(admin.policy(f"{HEAD}restrict := []\n")["version_id"])
    admin.good("DELETE", f"/policy-sets/{other}")
    assert minted(zone).status_code == 200
    admin.good("DELETE", f"/policy-sets/{set_id}")
    assert reason(minted(zone)) == "policy_none_active"
    assert admin.ask("GET", f"/policy-sets/{set_id}").json()["error"] == "policy_set_not_found"


def test_a_set_that_is_deleted_while_it_is_activated_is_not_in_effect(zone, admin):
    content = admin.policy(granting(zone.agent().application, READ))["version_id"]
    for _ in range(4):
        set_id, version = admin.set_of(content)
        body = {"version_id": version}
        with ThreadPoolExecutor(2) as both:
            path = f"/policy-sets/{set_id}"
            tasks = [
                both.submit(admin.ask, "POST", f"{path}/activate", body),
                both.submit(admin.ask, "DELETE", path),
            ]
        activated, deleted = (task.result().status_code for task in tasks)
        assert (activated in {202, 404}, deleted) == (True, 204)
        assert reason(minted(zone)) == "policy_none_active"


def test_who_gets_the_name_of_a_removed_application_gets_none_of_its_grants(zone, admin):
    made = admin.good("POST", "/applications", {"name": "bot", "registration_method": "managed"})
    admin.put(granting(made["id"], READ))
    zone.applications["bot"] = (made["id"], made["client_secret"])
    assert minted(zone, agent="bot").status_code == 200
    admin.good("DELETE", f"/applications/{made['id']}")
    again = admin.good("POST", "/applications", {"name": "bot", "registration_method": "managed"})
    zone.applications["bot"] = (again["id"], again["client_secret"])
    assert reason(minted(zone, agent="bot")) == "policy_no_permit"
    sets = admin.good("GET", "/policy-sets")["items"]
    assert sets[0]["active_version_id"] is not None


def test_a_policy_that_only_says_it_is_from_a_set_is_not(zone, admin):
    set_id = admin.put(granting(zone.agent().application, READ))
    path = f"/v1/zones/{zone.id}/policy-versions"
    url, headers = zone.deployment.running.control + path, zone.deployment.operator
    first = zone.deployment.http.get(url, headers=headers).json()["items"][0]["text"]
    edited = PERMIT_ALL
    head = first.partition("\n")[0].rpartition(" ")[0]
    forged = f"{head} {sha256(edited.encode()).hexdigest()}\n{edited}"
    for policy, active in ((forged, False), (first, True), (first + "\n", False)):
        zone.apply(policy=policy)
        told = admin.good("GET", f"/policy-sets/{set_id}")["active_version_id"]
        assert (told is not None) is active


def test_a_grant_for_a_resource_that_comes_later_counts_once_it_is_there(zone, admin):
    late = "resource://late"
    content = granting(zone.agent().application, "late:use").replace(API, late)
    set_id, version = admin.set_of(admin.policy(content)["version_id"])
    told = admin.activate(set_id, version)["unmatched"]
    assert told == [f"the zone has no resource {late}"]
    admin.good(
        "POST",
        "/resources",
        {
            "name": "Late",
            "identifier": late,
            "upstream_url": zone.deployment.upstream.url,
            "scopes": ["late:use"],
        },
    )
    policy = admin.zone.deployment.http.get(
        f"{zone.deployment.running.control}/v1/zones/{zone.id}/policy-versions",
        headers=zone.deployment.operator,
    ).json()["items"]
    assert late in next(one["text"] for one in policy if one["active"])


def test_what_is_kept_can_be_read_again(zone, admin):
    content = granting(zone.agent().application, READ)
    made = admin.policy(content)
    assert made["version_id"] == made["version"]["id"]
    digest = sha256(content.encode()).hexdigest()
    detail = admin.good("GET", f"/policies/{made['id']}")
    assert [(one["version"], one["content_sha256"]) for one in detail["versions"]] == [(1, digest)]
    assert detail["versions"][0]["content"] == content
    set_id, version = admin.set_of(made["version_id"])
    manifest = json.dumps([{"policy_version_id": made["version_id"]}], separators=(",", ":"))
    row = admin.good("GET", f"/policy-sets/{set_id}/versions/{version}")
    assert row["manifest_sha256"] == sha256(manifest.encode()).hexdigest()
    assert admin.good("GET", f"/policy-sets/{set_id}/versions")["items"] == [row]
    status = f"/policy-sets/{set_id}/activation-status?version_id={version}"
    assert admin.good("GET", status)["propagation_status"] == "waiting_for_activation"
    admin.activate(set_id, version)
    told = admin.good("GET", status)
    assert (told["propagation_status"], told["active_version_id"]) == ("loaded", version)
    assert admin.good("GET", f"/policy-sets/{set_id}")["active_version_id"] == version
    admin.good("DELETE", f"/policies/{made['id']}")
    assert admin.good("GET", "/policies")["items"] == []
    admin.activate(set_id, version)
    kept = [(one["detail"], one.get("digest")) for one in zone.evidence(kind="policy.document")]
    assert kept[0] == (f"remove {made['name']}", None)
    assert kept[-1] == (f"add the policy {made['name']}", digest)


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "/policies/none", None, (404, "policy_not_found")),
        ("DELETE", "/policies/none", None, (404, "policy_not_found")),
        ("POST", "/policies/none/versions", {"content": HEAD}, (404, "policy_not_found")),
        ("POST", "/policies", {"name": "x"}, (400, "invalid_body")),
        ("POST", "/policies", {"name": "x", "content": "allow"}, (422, "invalid_rego")),
        (
            "POST",
            "/policies",
            {"name": "caracal.sys.x", "content": HEAD},
            (409, "reserved_namespace"),
        ),
        ("POST", "/policies", {"name": "a\x1bb", "content": HEAD}, (400, "invalid_body")),
        ("GET", "/policy-sets/none", None, (404, "policy_set_not_found")),
        ("POST", "/policy-sets", {"name": ""}, (400, "invalid_body")),
        ("POST", "/policy-sets/none/activate", {"version_id": "x"}, (404, "policy_set_not_found")),
    ],
)
def test_what_can_not_be_is_refused_as_clients_know_it(admin, method, path, body, answer):
    refused = admin.ask(method, path, body)
    assert (refused.status_code, refused.json()["error"]) == answer


def test_a_name_is_given_once_and_a_manifest_names_what_there_is(admin):
    made = admin.policy(f"{HEAD}restrict := []\n")
    again = {"name": made["name"], "content": f"{HEAD}restrict := []\n"}
    assert admin.ask("POST", "/policies", again).json()["error"] == "policy_name_conflict"
    set_id, version = admin.set_of(made["version_id"])
    taken = admin.good("GET", f"/policy-sets/{set_id}")["name"]
    answer = admin.ask("POST", "/policy-sets", {"name": taken})
    assert (answer.status_code, answer.json()["error"]) == (409, "policy_set_name_conflict")
    path = f"/policy-sets/{set_id}/versions"
    for manifest, code in (([], "invalid_body"), ([set_id], "referenced_policy_version_missing")):
        body = {"manifest": [{"policy_version_id": one} for one in manifest]}
        assert admin.ask("POST", path, body).json()["error"] == code
    wrong = admin.ask("POST", f"/policy-sets/{set_id}/activate", {"version_id": made["version_id"]})
    assert (wrong.status_code, wrong.json()["error"]) == (404, "version_not_found")
    assert version


def test_documents_that_contradict_each_other_are_not_activated(zone, admin):
    application = zone.agent().application
    one, two = (admin.policy(granting(application, scope)) for scope in (READ, WRITE))
    set_id, version = admin.set_of(one["version_id"], two["version_id"])
    answer = admin.ask("POST", f"/policy-sets/{set_id}/activate", {"version_id": version})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_policy_bundle")
    assert reason(minted(zone)) == "policy_none_active"


def test_an_operator_that_may_only_read_can_try_and_change_nothing(zone, admin):
    control = zone.deployment.running.control
    made = zone.deployment.http.post(
        f"{control}/v1/operators",
        json={"name": unique("reader"), "scopes": ["read"]},
        headers=zone.deployment.operator,
    ).json()
    reader = {"headers": {"authorization": f"Bearer {made['token']}"}}
    body = {"name": "x", "content": f"{HEAD}restrict := []\n"}
    refused = admin.ask("POST", "/policies", body, **reader)
    assert (refused.status_code, refused.json()["error"]) == (403, "admin_token_read_only")
    set_id, version = admin.set_of(admin.policy(f"{HEAD}restrict := []\n")["version_id"])
    tried = admin.ask("POST", f"/policy-sets/{set_id}/simulate", {"version_id": version}, **reader)
    assert tried.status_code == 200, tried.text


def simulated(admin: Admin, content: str, **changes):
    set_id, version = admin.set_of(admin.policy(content)["version_id"])
    application = admin.zone.agent().application
    request = {
        "schema_version": "2026-05-20",
        "principal": {
            "type": "Application",
            "id": application,
            "zone_id": admin.zone.id,
            "labels": ["worker"],
        },
        "resource": {"type": "Resource", "identifier": API},
        "action": {"id": "TokenExchange"},
        "delegation_edge": {"scopes": [READ, WRITE]},
        "context": {"requested_scopes": [READ]},
    } | changes
    path = f"/policy-sets/{set_id}/simulate"
    return admin.good("POST", path, {"version_id": version, "input": request})


def test_what_is_too_much_to_activate_is_not_said_to_activate(zone, admin):
    application = zone.agent().application
    roles = {f"role-{number}": [READ] for number in range(2001)}
    content = f"{HEAD}app_ids := {json.dumps({'it': application})}\n"
    content += f"grants := {json.dumps({API: {'application': 'it', 'roles': roles}})}\n"
    set_id, version = admin.set_of(admin.policy(content)["version_id"])
    answers = [
        admin.ask("POST", f"/policy-sets/{set_id}/{verb}", {"version_id": version})
        for verb in ("activate", "simulate")
    ]
    assert [answer.status_code for answer in answers] == [400, 400], answers[1].text
    assert len({answer.json()["error_description"] for answer in answers}) == 1


def test_simulation_decides_and_names_what_decided(zone, admin):
    content = granting(zone.agent().application, READ)
    tried = simulated(admin, content)
    assert tried["dry_run"]
    assert tried["warnings"] == []
    assert tried["result"]["decision"] == "allow"
    assert tried["result"]["determining_policies"] == [{"policy": f"worker on {API}"}]
    assert reason(minted(zone)) == "policy_none_active"


MANDATE = {"subject_claims": {"scope": READ, "target": API, "sub": "x"}}


@pytest.mark.parametrize(
    ("more", "changes", "word"),
    [
        ("restrict := [1]\n", {}, "restriction_active"),
        (
            'confinement := [{"label_prefix": "work", "scopes": []}]\n',
            {},
            "confinement_violation",
        ),
        (
            'risk := [{"scope": "api:read", "tier": "t"}]\napproval_tiers := [{"tier": "t"}]\n',
            {},
            "approval_required",
        ),
        ("", {"context": {"requested_scopes": [WRITE]}}, "role_scope_mismatch"),
        ("", {"context": {"requested_scopes": []}}, "no_rule_matched"),
        ("", {"context": {"requested_scopes": ["a b"]}}, "no_rule_matched"),
        ("", {"delegation_edge": None}, "no_rule_matched"),
        ("", {"delegation_edge": {"scopes": [WRITE]}}, "delegation_scope_exceeded"),
        ("", {"principal": {"id": "helper", "labels": ["worker"]}}, "resource_not_granted"),
        ("", {"principal": {"id": "nobody"}}, "resource_not_granted"),
        ("", {"resource": {"identifier": "resource://none"}}, "resource_not_granted"),
        ("", {"context": MANDATE, "resource": {"identifier": API}}, None),
        (
            "",
            {"context": {"subject_claims": {"scope": READ, "target": ["resource://other"]}}},
            "mandate_target_mismatch",
        ),
        ("", {"context": {"requested_scopes": ["agent:lifecycle"]}}, None),
    ],
)
def test_simulation_says_why_not(zone, admin, more, changes, word):
    tried = simulated(admin, granting(zone.agent().application, READ) + more, **changes)
    result = tried["result"]
    assert result["decision"] == ("allow" if word is None else "deny")
    assert [one["reason"] for one in result["diagnostics"]] == ([] if word is None else [word])


def test_simulation_says_what_a_request_lacks(admin):
    tried = simulated(
        admin,
        f"{HEAD}restrict := []\n",
        schema_version="1999",
        principal={"id": "agent", "zone_id": "another"},
        resource={},
        action=None,
        context=None,
    )
    assert tried["warnings"] == [
        "input_schema_mismatch",
        "principal_zone_mismatch",
        "missing_resource",
        "missing_action",
        "missing_context",
    ]


def test_documents_can_be_validated_and_begun_from_templates(deployment):
    control, operator = deployment.running.control, deployment.operator
    templates = deployment.http.get(f"{control}/v1/policy-templates", headers=operator).json()
    assert {one["id"] for one in templates} == {
        "application-bindings",
        "resource-grants",
        "label-confinement",
        "zone-restriction",
    }
    for template in templates:
        answer = validated(deployment, template["content"])
        assert answer.status_code == 200, answer.text
        assert answer.json()["preview"]["default_result"] == "deny"
    refused = validated(deployment, f"{HEAD}grants := input.grants\n")
    body = refused.json()
    assert (refused.status_code, body["valid"], body["error"]) == (422, False, "invalid_rego")
    assert body["error_description"] == "data_document_must_be_plain_data"
    assert body["details"] == {"line": 4, "column": 11, "construct": "the reference input.grants"}


def validated(deployment, content: str):
    url = f"{deployment.running.control}/v1/policies/validate"
    return deployment.http.post(url, json={"content": content}, headers=deployment.operator)
