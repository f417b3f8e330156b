"""MCP clients that others wrote discover the authorization server, get a token and call tools."""

import json

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.support.deployment import PERMIT_ALL, eventually
from tests.support.openid import openid_provider
from tests.support.sign_in import landed, signing_in
from tests.support.stock import READ, TICKETS, WRITE, run_clients, stock

SEARCH, OPEN = ["search", {"q": "printer"}], ["ticket_open", {"title": "it burns"}]
POST = "client_secret_post"
DROP = ["drop_everything", {}]
READ_ONLY = """
@id("read")
permit (principal, action == Action::"tickets:read", resource);
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="module")
def caracal(tmp_path_factory, upstream, provider):
    trusted = {"CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file)}
    data = tmp_path_factory.mktemp("stock") / "data"
    with stock(data, upstream, f",{provider.authority}", **trusted) as it:
        yield it


@pytest.fixture(scope="module")
def peopled(caracal, provider):
    """A zone with a client that people sign in for."""
    return caracal.zone(
        applications=[
            {"name": "desktop", "redirect_uris": ["http://127.0.0.1/callback"]},
            {"name": "documented", "metadata_hosts": ["127.0.0.1"]},
            {"name": "registered", "takes_registrations": True},
        ],
        subject_issuers=[provider.sign_in],
    )


@pytest.fixture
def person(peopled, provider):
    with signing_in(peopled, provider, "desktop") as it:
        yield it


@pytest.fixture(scope="module")
def zone(caracal):
    return caracal.zone()


def call(name="search", **arguments):
    params = {"name": name, "arguments": arguments or {"q": "a"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


@pytest.fixture(scope="module")
def narrow(caracal):
    return caracal.zone(policy=READ_ONLY)


@pytest.fixture(scope="module")
def keyed(caracal):
    """A zone whose applications sign, and their keys."""
    keys = {
        "signs": ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"}),
        "signs-rsa": RSAKey.generate_key(2048, {"kid": "two", "use": "sig"}),
    }
    listed = [
        {"name": name, "keys": [text_members(key.as_dict(private=False))]}
        for name, key in keys.items()
    ]
    return caracal.zone(applications=listed), keys


def text_members(key):
    return {name: value for name, value in key.items() if isinstance(value, str)}


@pytest.fixture(scope="module")
def said(zone, narrow, keyed, peopled, provider):
    """What stock clients say: each is told a URL, who it is, and which tools to call."""
    calls = [SEARCH, OPEN, DROP]
    redirect = "http://127.0.0.1:4711/callback"
    trusted = {"redirect_uri": redirect, "ca_file": str(provider.ca_file), "calls": calls}
    url = f"{provider.url}/client.json"
    described = {"client_id": url, "client_name": "Documented", "redirect_uris": [redirect]}
    provider.documents["/client.json"] = json.dumps(described).encode()
    clients = {
        "mcp": zone.told(calls=calls),
        "mcp, earlier revision": zone.told(calls=calls, mode="legacy", method=POST),
        "fastmcp": zone.told(calls=calls, library="fastmcp"),
        "fastmcp, secret in the form": zone.told(calls=calls, library="fastmcp", method=POST),
        "narrow": narrow.told(calls=calls),
        "for a person": peopled.told(
            client_id=peopled.ids()["desktop"],
            **trusted,
        ),
        "by its document": peopled.told(client_id="", client_metadata_url=url, **trusted),
        "that registers itself": peopled.told(client_id="", **trusted),
        "mcp that signs": signs(keyed, "signs", "ES256", calls),
        "fastmcp that signs": signs(keyed, "signs-rsa", "RS256", calls, library="fastmcp"),
    }
    return dict(zip(clients, run_clients(*clients.values()), strict=True))


def signs(keyed, name, algorithm, calls, **more):
    zone, keys = keyed
    pem = keys[name].as_pem(private=True).decode()
    told = zone.told(client_id=zone.ids()[name], key=pem, algorithm=algorithm, calls=calls, **more)
    del told["secret"]
    return told


@pytest.mark.parametrize(
    "client", ["mcp", "mcp, earlier revision", "fastmcp", "fastmcp, secret in the form"]
)
def test_a_client_with_a_secret_calls_tools_knowing_only_the_url(said, client):
    assert said[client]["tools"] == ["search", "ticket_open"]
    assert said[client]["answers"][:2] == ["found printer", "opened it burns"]
    assert "dropped" not in said[client]["answers"][2]


@pytest.mark.parametrize("client", ["mcp that signs", "fastmcp that signs"])
def test_a_client_without_a_secret_signs_and_calls_tools(said, client):
    assert said[client]["tools"] == ["search", "ticket_open"]
    assert said[client]["answers"][:2] == ["found printer", "opened it burns"]


def test_a_client_that_a_person_signs_in_for_calls_tools_in_their_name(said, peopled, provider):
    assert said["for a person"]["tools"] == ["search", "ticket_open"]
    assert said["for a person"]["answers"][:2] == ["found printer", "opened it burns"]
    entries = peopled.zone.evidence(kind="call")
    assert {(entry["subject"], entry["subject_issuer"]) for entry in entries} == {
        ("ann", provider.url)
    }


@pytest.mark.parametrize(
    ("client", "application"),
    [("by its document", "documented"), ("that registers itself", "registered")],
)
def test_a_client_that_nobody_listed_acts_as_the_application_it_may(
    said, peopled, client, application
):
    assert said[client]["answers"][:2] == ["found printer", "opened it burns"]
    names = {entry["application_name"] for entry in peopled.zone.evidence(kind="call")}
    assert application in names


def test_the_page_says_who_wants_what_and_lets_no_script_in(person, peopled):
    page = person.page()
    assert page.status_code == 200
    assert "desktop wants to act for you" in page.text
    assert "tickets:read" in page.text
    assert "127.0.0.1:4711" in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; form-action 'self' ")
    assert "frame-ancestors 'none'; base-uri 'none'" in policy
    assert (page.headers["x-frame-options"], page.headers["cache-control"]) == ("DENY", "no-store")
    cookie = page.headers["set-cookie"]
    assert "HttpOnly; SameSite=Lax" in cookie
    assert f"Path=/oauth/zones/{peopled.zone.name};" in cookie


def test_a_person_may_refuse(person):
    form = person.form(person.page()) | {"refuse": "yes"}
    told = landed(person.answer(form))
    assert (told["error"], told["state"]) == ("access_denied", "of the client")
    assert told["iss"] == person.zone.issuer


def test_revoking_a_person_ends_their_clients_and_what_they_signed_in_before(person, provider):
    provider.person = "bob"
    code, later = person.code(), person.code()
    token = person.redeem(code).json()["access_token"]
    first = person.zone.post(call(), token)
    assert first.status_code == 200
    body = {"issuer": provider.url, "subject_id": "bob"}
    assert person.zone.zone.operate("POST", "subjects/revoke", json=body).json()["sessions"] == 1
    assert person.zone.post(call(), token).json()["reason"] == "mandate_revoked"
    refused = person.redeem(later)
    assert refused.json()["reason"] == "subject_revoked"
    provider.person = "ann"


def test_an_application_with_keys_has_no_secret(keyed):
    zone, _ = keyed
    assert zone.zone.applications == {}
    refused = zone.token(client_id=zone.ids()["signs"], client_secret="x" * 40)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert zone.zone.apply()["changes"] == []
    [bare] = [entry for entry in zone.zone.document["applications"] if entry["name"] == "signs"]
    applied = zone.zone.apply(applications=[{"name": "signs"}])
    assert zone.zone.applications.keys() == {"signs"}
    zone.zone.apply(applications=[bare])
    assert applied["zone"]["revision"] > 0
    old = zone.token(
        client_id=zone.ids()["signs"], client_secret=zone.zone.applications["signs"][1]
    )
    assert old.status_code == 401


def test_the_resource_says_where_to_get_a_token(zone):
    refused = zone.post(call(), None)
    metadata = f"{zone.url.partition('/mcp/')[0]}/.well-known/oauth-protected-resource/mcp/"
    metadata += f"{zone.zone.name}/tickets"
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == (
        f'Bearer realm="caracal", scope="{READ} {WRITE}", resource_metadata="{metadata}"'
    )
    assert zone.http.get(metadata).json() == {
        "resource": zone.url,
        "authorization_servers": [zone.issuer],
        "scopes_supported": [READ, WRITE],
        "bearer_methods_supported": ["header"],
        "resource_name": TICKETS,
    }
    assert zone.http.post(metadata).status_code == 405
    place = f"/.well-known/oauth-authorization-server/oauth/zones/{zone.zone.name}"
    server = zone.http.get(zone.issuer.partition("/oauth/")[0] + place).json()
    assert server["issuer"] == zone.issuer
    assert server["token_endpoint"] == f"{zone.issuer}/token"
    assert server["grant_types_supported"] == ["client_credentials"]
    assert zone.http.get(server["jwks_uri"]).json()["keys"]


def test_one_token_serves_many_calls_and_each_is_on_record(zone):
    answer = zone.token(scope=READ)
    granted = answer.json()
    assert (granted["token_type"], granted["scope"]) == ("Bearer", READ)
    assert 590 <= granted["expires_in"] <= 600
    assert "no-store" in answer.headers["cache-control"]
    chosen = "chosen-by-the-caller"
    calls = [zone.post(call(), granted["access_token"], **{"x-request-id": chosen}) for _ in "ab"]
    assert [one.status_code for one in calls] == [200, 200]
    ids = [one.headers["x-request-id"] for one in calls]
    assert len({chosen, *ids}) == 3
    entries = [zone.zone.entry(one, "call") for one in ids]
    [exchange] = zone.zone.evidence(kind="exchange", request=answer.headers["x-request-id"])
    [start] = zone.zone.evidence(kind="session.start", request=answer.headers["x-request-id"])
    assert {entry["mandate"] for entry in entries} == {exchange["mandate"]}
    assert {entry["session"] for entry in entries} == {exchange["session"], start["session"]}
    assert {entry["operation"] for entry in entries} == {"tools/call search"}
    assert exchange["mandate_class"] == "access"
    assert entries[0]["labels"] == ["mcp-client"]
    results = [zone.zone.entry(one, "call.result") for one in ids]
    assert [result["answers"] for result in results] == ids
    zone.zone.verify_evidence()


def test_what_stock_clients_did_is_replayed_and_borne_out_by_a_pack(zone, tmp_path):
    token = zone.access(scope=READ)
    assert [zone.post(call(), token).status_code for _ in "ab"] == [200, 200]
    running, named = zone.zone.deployment.running, ("--zone", zone.zone.name)
    report = running.ask("replay", "--active", *named)["report"]
    assert report["replayed"] == report["decisions"] > 0, report
    assert report["differing"] == 0
    made = running.ask("evidence", "pack", "-o", str(tmp_path / "pack.zip"), *named)
    outcomes = {one["id"]: one["outcome"] for one in made["statements"]}
    assert "not borne out" not in outcomes.values(), outcomes


def test_killing_the_session_of_a_token_ends_it(zone):
    token = zone.access()
    first = zone.post(call(), token)
    session = zone.zone.entry(first.headers["x-request-id"], "call")["session"]
    zone.zone.kill(session)
    refused = zone.post(call(), token)
    assert (refused.status_code, refused.json()["reason"]) == (401, "mandate_revoked")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_policy_narrows_what_is_granted_and_says_so(narrow, said):
    zone, told = narrow, said["narrow"]
    assert zone.token().json()["scope"] == READ
    refused = zone.token(scope=WRITE)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert (told["tools"], told["granted"]) == (["search"], READ)
    assert told["answers"][0] == "found printer"
    assert "opened" not in told["answers"][1]
    challenged = zone.post(call("ticket_open", title="x"), zone.access())
    assert challenged.status_code == 403
    assert f'error="insufficient_scope", scope="{WRITE}"' in challenged.headers["www-authenticate"]


def test_policy_can_tell_such_clients_from_agents(caracal):
    only = PERMIT_ALL + '@id("no")\nforbid (principal, action, resource) when '
    zone = caracal.zone(policy=only + '{ context.session.labels.contains("mcp-client") };\n')
    assert zone.token().json()["reason"] == "policy_forbid"


def test_without_an_endpoint_there_is_nothing_for_such_clients(caracal):
    zone = caracal.zone()
    token = zone.access()
    [declared] = zone.zone.document["resources"]
    zone.zone.apply(resources=[{**declared, "endpoint": "elsewhere"}])
    assert zone.post(call(), token).status_code == 404
    assert zone.token().json()["error"] == "invalid_target"
    moved = zone.url.replace("tickets", "elsewhere")
    refused = zone.post(call(), token, moved)
    assert (refused.status_code, refused.json()["reason"]) == (401, "mandate_audience")


def test_disabling_the_application_ends_its_tokens(caracal):
    zone = caracal.zone()
    token = zone.access()
    zone.zone.apply(applications=[{"name": "agent", "enabled": False}])
    answer = eventually(lambda: zone.post(call(), token))
    assert answer.json()["reason"] == "client_unknown"
    assert zone.token().json()["error"] == "invalid_client"
