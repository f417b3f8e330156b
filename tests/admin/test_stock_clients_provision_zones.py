"""The published admin client, unmodified, makes and changes what is in a zone."""

WORD = "a-word"


def test_a_zone_is_made_renamed_listed_and_put_away(drive):
    said = drive("""
made = client.zones.create({"name": "Pied Piper"})
said["made"] = made
said["again"] = client.zones.create({"name": "Pied Piper"})["slug"]
said["renamed"] = client.zones.patch(made["id"], {"name": "Hooli"})
said["listed"] = [zone["name"] for zone in client.zones.list()]
said["dcr"] = client.zones.dcr_status(made["id"])
client.zones.delete(made["id"])
said["after"] = [zone["id"] for zone in client.zones.list()]
said["gone"] = refused(lambda: client.zones.get(made["id"]))[:2]
""")
    assert said["made"]["name"] == "Pied Piper"
    assert said["made"]["slug"] == "pied-piper"
    assert said["again"] == "pied-piper-2"
    assert said["renamed"]["id"] == said["made"]["id"]
    assert "Hooli" in said["listed"]
    assert said["dcr"]["dcr_enabled"] is False
    assert said["made"]["id"] not in said["after"]
    assert said["gone"] == [404, "zone_not_found"]


def test_an_application_shows_its_secret_once_and_rotates_it(drive):
    said = drive("""
zone = client.zones.create({"name": "apps"})["id"]
made = client.applications.create(zone, {"name": "Orders Agent", "traits": ["team:blue"]})
said["made"], said["read"] = made, client.applications.get(zone, made["id"])
said["taken"] = refused(lambda: client.applications.create(zone, {"name": "Orders Agent"}))[:2]
said["rotated"] = client.applications.rotate_secret(zone, made["id"])
said["kept"] = refused(lambda: client.applications.get_client_secret(zone, made["id"]))[:2]
said["patched"] = client.applications.patch(zone, made["id"], {"name": "Agent", "traits": []})
client.applications.delete(zone, made["id"])
said["left"] = client.applications.list(zone)
said["gone"] = refused(lambda: client.applications.get(zone, made["id"]))[:2]
""")
    assert said["made"]["client_secret"] != said["rotated"]["client_secret"]
    assert "client_secret" not in said["read"]
    assert said["read"]["name"] == "Orders Agent"
    assert said["read"]["traits"] == ["team:blue"]
    assert said["taken"] == [409, "application_name_taken"]
    assert said["kept"] == [404, "client_secret_not_stored"]
    assert said["patched"]["id"] == said["made"]["id"]
    assert said["patched"]["name"] == "Agent"
    assert said["left"] == []
    assert said["gone"] == [404, "application_not_found"]


def test_a_provider_keeps_its_credential_and_never_shows_it(drive):
    said = drive("""
zone = client.zones.create({"name": "providers"})["id"]
made = client.providers.create(zone, {
    "name": "Mail API", "identifier": "provider://mail", "kind": "api_key",
    "config_json": {"auth_location": "header", "header_name": "X-Key", "api_key": given["key"]},
})
said["made"] = made
said["moved"] = client.providers.patch(
    zone, made["id"], {"config_json": {"auth_location": "query", "query_param_name": "key"}}
)
said["renamed"] = client.providers.patch(zone, made["id"], {"name": "Mail"})
said["taken"] = refused(lambda: client.providers.create(
    zone, {"identifier": "provider://mail", "kind": "none"}))[:2]
said["kindless"] = refused(lambda: client.providers.patch(zone, made["id"], {"kind": "none"}))[:2]
said["keyless"] = refused(lambda: client.providers.patch(
    zone, made["id"], {"kind": "bearer_token", "config_json": {}}))[:2]
said["others"] = [
    client.providers.create(zone, {"name": name, "kind": kind, "config_json": config})["config_json"]
    for name, kind, config in given["others"]
]
said["listed"] = [entry["identifier"] for entry in client.providers.list(zone)]
client.providers.delete(zone, made["id"])
said["gone"] = refused(lambda: client.providers.get(zone, made["id"]))[:2]
""", key="a-key", others=[
        ["basic", "http_basic", {"username": "u", "password": WORD}],
        ["bearer", "bearer_token", {"bearer_token": "a-word", "allowed_token_hosts": ["a.example"]}],
        ["mandate", "caracal_mandate", {}],
        ["nothing", "none", {}],
    ])  # fmt: skip
    assert said["made"]["identifier"] == "provider://mail"
    assert said["made"]["name"] == "Mail API"
    assert said["made"]["config_json"] == {"auth_location": "header", "header_name": "X-Key"}
    assert said["made"]["secret_config_keys"] == ["api_key"]
    assert said["moved"]["config_json"] == {"auth_location": "query", "query_param_name": "key"}
    assert said["moved"]["secret_config_keys"] == ["api_key"]
    assert (said["renamed"]["id"], said["renamed"]["name"]) == (said["made"]["id"], "Mail")
    assert said["taken"] == [409, "provider_identifier_conflict"]
    assert said["kindless"] == [400, "provider_config_required"]
    assert said["keyless"] == [400, "invalid_provider"]
    assert said["others"][0] == {"username": "u"}
    assert said["others"][1]["allowed_token_hosts"] == ["a.example"]
    assert len(said["listed"]) == 5
    assert said["gone"] == [404, "provider_not_found"]


def test_a_resource_has_operations_that_bind(drive):
    said = drive("""
zone = client.zones.create({"name": "resources"})["id"]
provider = client.providers.create(zone, {"name": "plain", "kind": "none"})["id"]
wanted = {
    "name": "Orders", "identifier": "resource://orders", "upstream_url": "https://orders.example",
    "scopes": ["orders:read", "orders:write"], "credential_provider_id": provider,
    "operations": [{"method": "GET", "path": "/orders/{id}", "scope": "orders:read"}],
}
made = client.resources.create(zone, wanted)
said["made"], said["provider"] = made, provider
said["uniform"] = client.resources.patch(
    zone, made["id"], {"operation_enforcement": "transport_uniform", "operations": []})
said["taken"] = refused(lambda: client.resources.create(zone, wanted))[:2]
said["undeclared"] = refused(lambda: client.resources.patch(zone, made["id"], {
    "operations": [{"method": "GET", "path": "/", "scope": "other"}]}))[:2]
said["nowhere"] = refused(lambda: client.resources.create(
    zone, {"identifier": "resource://x", "scopes": ["a"]}))[:2]
said["unknown"] = refused(lambda: client.resources.create(zone, {
    **wanted, "identifier": "resource://y", "credential_provider_id": "nobody"}))[:2]
said["in use"] = refused(lambda: client.providers.delete(zone, provider))[:2]
client.resources.delete(zone, made["id"])
said["left"] = client.resources.list(zone)
""")
    assert said["made"]["operations"] == [
        {"method": "GET", "path": "/orders/{id}", "scope": "orders:read"}
    ]
    assert said["made"]["operation_enforcement"] == "enforced"
    assert said["made"]["credential_provider_id"] == said["provider"]
    assert said["made"]["scopes"] == ["orders:read", "orders:write"]
    assert said["uniform"]["operation_enforcement"] == "transport_uniform"
    assert said["uniform"]["operations"] == []
    assert said["taken"] == [409, "resource_identifier_conflict"]
    assert said["undeclared"] == [400, "operation_scope_not_in_resource_scopes"]
    assert said["nowhere"] == [400, "upstream_url_required"]
    assert said["unknown"] == [400, "provider_not_found"]
    assert said["in use"] == [400, "invalid_provider"]
    assert said["left"] == []


def test_the_reconcilers_converge_and_change_nothing_the_second_time(drive):
    said = drive("""
zone = client.zones.create({"name": "reconciled"})["id"]
def converge():
    application = ensure_application(
        client, zone, name="Billing Agent", traits=["tier:gold"], client_secret=given["secret"])
    placed = {"auth_location": "header", "header_name": "Authorization", "auth_scheme": "Bearer"}
    provider = ensure_api_key_provider(
        client, zone, name="Billing", identifier="provider://billing", public_config=placed,
        api_key=given["key"])
    resource = ensure_resource(
        client, zone, name="Billing", identifier="resource://billing", scopes=["b:read"],
        upstream_url="https://billing.example", credential_provider_id=provider,
        operations=[{"method": "get", "path": "/bills", "scope": "b:read"}],
        operation_enforcement="enforced")
    return [application, provider, resource["id"]]
said["first"] = converge()
said["revision"] = client.zones.get(zone)["revision"]
said["second"] = converge()
said["then"] = client.zones.get(zone)["revision"]
said["kept"] = ensure_api_key_provider(
    client, zone, name="Billing", identifier="provider://billing",
    public_config={"auth_location": "header", "header_name": "X-Key"})
said["none"] = ensure_api_key_provider(
    client, zone, name="No", identifier="provider://no", public_config={})
said["oauth"] = refused(lambda: ensure_client_credentials_provider(
    client, zone, name="O", identifier="provider://o", client_secret=given["key"],
    public_config={"token_endpoint": "https://o.example/token", "client_id": "me"}))
rotated = client.applications.rotate_secret(zone, said["first"][0])
said["rotated"] = len(rotated["client_secret"])
""", secret=WORD * 8, key="a-key")  # fmt: skip
    assert said["first"] == said["second"]
    assert said["revision"] == said["then"]
    assert said["kept"] == said["first"][1]
    assert said["none"] is None
    assert said["oauth"][:2] == [400, "unsupported"]
    assert said["oauth"][2]["details"]["issues"][0]["path"] == ["kind"]
    assert said["rotated"] > 32


def test_lists_come_in_pages_when_they_are_asked_for(drive):
    said = drive("""
zone = client.zones.create({"name": "paged"})["id"]
made = [client.applications.create(zone, {"name": f"app-{n}"})["id"] for n in range(5)]
path, got, cursor = f"/v1/zones/{zone}/applications", [], None
while True:
    page = client._request(path, query={"limit": 2, "cursor": cursor})
    got.append([row["id"] for row in page["items"]])
    cursor = page["next_cursor"]
    if not cursor:
        break
said["pages"], said["made"] = got, made
said["archived"] = client._request(path, query={"status": "archived"})["items"]
said["cursor"] = refused(lambda: client._request(path, query={"cursor": "!"}))[:2]
said["limit"] = refused(lambda: client._request(path, query={"limit": 501}))[:2]
""")
    assert [len(page) for page in said["pages"]] == [2, 2, 1]
    assert [one for page in said["pages"] for one in page] == sorted(said["made"], reverse=True)
    assert said["archived"] == []
    assert said["cursor"] == [400, "invalid_cursor"]
    assert said["limit"] == [400, "invalid_query"]


def test_issuers_are_registered_and_their_users_revoked(drive):
    said = drive("""
zone = client.zones.create({"name": "vouched"})["id"]
said["nobody"] = refused(lambda: client.subjects.revoke(zone, {"subject_id": "ada"}))[:2]
made = client.subject_issuers.create(zone, {
    "issuer": "https://id.example", "jwks_url": "https://id.example/keys", "audience": "me"})
said["made"] = made
said["again"] = refused(lambda: client.subject_issuers.create(zone, {
    "issuer": "https://id.example", "jwks_url": "https://id.example/k", "audience": "me"}))[:2]
said["patched"] = client.subject_issuers.patch(zone, made["id"], {"audience": "you"})
said["revoked"] = client.subjects.revoke(zone, {"subject_id": "ada", "reason": "left"})
client.subject_issuers.delete(zone, made["id"])
said["left"] = client.subject_issuers.list(zone)
""")
    assert said["nobody"] == [404, "subject_not_found"]
    assert said["made"]["issuer"] == "https://id.example"
    assert said["again"] == [409, "subject_issuer_exists"]
    assert said["patched"]["audience"] == "you"
    assert said["revoked"]["sessions"] == 0
    assert said["left"] == []


def test_what_caracal_has_nothing_for_is_refused_by_name(drive):
    said = drive("""
zone = client.zones.create({"name": "absent"})["id"]
said["grants"] = client.grants.list(zone, {"scopes": ["a"]})
calls = {
    "grant": lambda: client.grants.create(zone, {"application_id": "a"}),
    "workloads": lambda: client.workloads.list(zone),
    "connection": lambda: client.provider_connections.create(zone, {}),
    "records": lambda: client.authority_records.list(zone),
    "dcr": lambda: client.applications.dcr(zone, {"name": "a", "expires_in": 60}),
    "dcr of a zone": lambda: client.zones.create({"name": "d", "dcr_enabled": True}),
    "check": lambda: client.providers.create(zone, {"name": "a", "kind": "none", "check": True}),
    "slug": lambda: client.zones.patch(zone, {"slug": "other"}),
    "label": lambda: client.audit.list(zone, {"label": "x"}),
}
said["refused"] = {name: refused(call) for name, call in calls.items()}
traced = client.with_default_headers({"x-request-id": "asked-for-by-a-test"})
said["traced"] = refused(lambda: traced.workloads.list(zone))[2]["requestId"]
""")
    assert said["grants"] == []
    for name, answer in said["refused"].items():
        assert answer[:2] == [400, "unsupported"], name
    assert said["traced"] == "asked-for-by-a-test"
