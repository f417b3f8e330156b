"""Every fault of a zone document is named: field, limit, what to do."""

import pytest

from caracal_server.control.document_faults import ZoneDocumentInvalid
from caracal_server.control.document_rules import parse_document
from tests.control.world import document


def _provider(**more):
    return document(providers=[{"name": "orders", "kind": "bearer_token", "secret": "key"} | more])


def _resource(**more):
    (resource,) = document()["resources"]
    return document(resources=[resource | more])


def _server(**more):
    resource = {"identifier": "resource://tickets", "upstream": "https://a.example", "kind": "mcp"}
    return document(resources=[resource | more])


def _faults(data):
    with pytest.raises(ZoneDocumentInvalid) as caught:
        parse_document(data)
    return [str(fault) for fault in caught.value.faults]


def _issuers(*issuers):
    more = {"jwks_url": "https://id.example/keys", "audience": "app"}
    return document(subject_issuers=[{"issuer": issuer} | more for issuer in issuers])


BAD = [
    ([], "the document: must be a mapping with the fields zone, title, applications"),
    ({}, "zone: is missing"),
    (document(zone="Shop"), "zone: 'Shop' is not a zone name"),
    (document(zone="shop\n"), "zone: 'shop\\n' is not a zone name"),
    (document(zone=7), "zone: must be text; put it in quotes"),
    (document(zone="a" * 64), "is not a zone name: 1 to 63"),
    (document(resurces=[]), "resurces: there is no such field; did you mean 'resources'?"),
    (document(applications={}), "applications: must be a list"),
    (document(applications=["a"]), "applications[0]: must be a mapping"),
    (document(applications=[{}]), "applications[0].name: is missing"),
    (document(applications=[{"name": "a b"}]), "applications[0].name: 'a b' is not a name"),
    (
        document(applications=[{"name": "a"}, {"name": "a"}]),
        "applications[1].name: 'a' is taken by applications[0]",
    ),
    (document(applications=[{"name": "a", "enabled": "no"}]), "enabled: must be true or false"),
    (document(applications=[{"name": "a", "expires_at": "soon"}]), "expires_at: must be a date, a"),
    (
        document(applications=[{"name": "a", "expires_at": "2030-01-01T00:00:00"}]),
        "expires_at: must be a date, a time and an offset",
    ),
    (
        document(applications=[{"name": "a", "expires_at": "0001-01-01T00:00:00+14:00"}]),
        "expires_at: must be a date, a time and an offset",
    ),
    (
        document(applications=[{"name": "a", "secret": "short"}]),
        "applications[0].secret: has 5 characters; 16 to 256 are allowed",
    ),
    (document(applications=[{"name": "a", "secret": {"env": "A"}}]), "secret: must be text"),
    (document(applications=[{"name": f"a{n}"} for n in range(1001)]), "has 1001 entries; at most"),
    (
        document(applications=[{"name": "a", "traits": ["x", "x"]}]),
        "applications[0].traits: one is stated twice",
    ),
    (
        document(applications=[{"name": "a", "traits": ["control:scope:control:x"]}]),
        "applications[0].traits: control:scope:control:x means nothing without control:invoke",
    ),
    (
        document(applications=[{"name": "a", "traits": ["1st"]}]),
        "applications[0].traits[0]: '1st' is not a trait",
    ),
    (
        document(applications=[{"name": "a", "traits": [f"t{n}" for n in range(65)]}]),
        "traits: has 65 entries; at most 64",
    ),
    (_issuers("http://id.example"), "subject_issuers[0].issuer: 'http://id.example' is not an h"),
    (_issuers("https://0x7f.1"), "subject_issuers[0].issuer: 'https://0x7f.1': "),
    (_issuers("https://id.example/../x"), "subject_issuers[0].issuer: 'https://id.example/../x': "),
    (
        _issuers("https://id.example", "https://id.example"),
        "subject_issuers[1].issuer: 'https://id.example' is taken by subject_issuers[0]",
    ),
    (
        _issuers(*(f"https://{n}.example" for n in range(21))),
        "subject_issuers: has 21 entries; at most 20",
    ),
    (_provider(kind="bearer"), "providers[0].kind: 'bearer' is not known; did you mean 'bearer_to"),
    (_provider(kind=None), "providers[0].kind: must be one of none, bearer_token"),
    (_provider(secret=None), "providers[0].secret: is missing; a provider of kind bearer_token"),
    (_provider(secret="a\nb"), "providers[0].secret: holds a control character"),
    (_provider(secret=" key"), "providers[0].secret: begins or ends with a space"),
    (_provider(secret="ключ"), "providers[0].secret: holds a character outside ASCII"),
    (_provider(secret="Bearer key"), "providers[0].secret: begins with Bearer"),
    (_provider(secret="k" * 8193), "providers[0].secret: has 8193 characters; 1 to 8192"),
    (_provider(header="Content-Length"), "header: 'Content-Length' frames, routes or traces"),
    (_provider(header="X-Caracal-Identity"), "frames, routes or traces requests"),
    (_provider(header="x_forwarded_for"), "frames, routes or traces requests"),
    (_provider(header="X Key"), "providers[0].header: 'X Key' is not a header name"),
    (_provider(scheme="a b"), "providers[0].scheme: 'a b' is not one word"),
    (_provider(username="u"), "providers[0].username: has no meaning for the kind bearer_token"),
    (_provider(kind="none"), "providers[0].secret: has no meaning for the kind none"),
    (_provider(kind="caracal_mandate"), "secret: has no meaning for the kind caracal_mandate"),
    (_provider(kind="api_key"), "providers[0]: an api_key goes into either header or query_para"),
    (
        _provider(kind="api_key", header="X-Key", query_parameter="key"),
        "providers[0]: an api_key goes into either header or query_parameter",
    ),
    (
        _provider(kind="api_key", query_parameter="key", scheme="Key"),
        "providers[0].scheme: has no meaning in a query parameter",
    ),
    (_provider(kind="http_basic"), "providers[0].username: is missing"),
    (_provider(kind="http_basic", username="a:b"), "username: may not hold a colon"),
    (_provider(allowed_hosts=["https://a"]), "allowed_hosts[0]: 'https://a' is not a host"),
    (_provider(allowed_hosts=["0x7f.1"]), "allowed_hosts[0]: '0x7f.1' is not a host"),
    (_provider(allowed_hosts=["0:0:0:0:0:0:0:1"]), "allowed_hosts[0]: write it as ::1"),
    (
        _provider(allowed_hosts=["other.example"]),
        "upstream: the credential of orders may not go to",
    ),
    (
        _resource(provider="oders"),
        "resources[0].provider: there is no provider 'oders'; did you me",
    ),
    (_resource(identifier="caracal-control"), "is not an absolute URI"),
    (_resource(identifier="orders"), "identifier: 'orders' is not an absolute URI"),
    (_resource(identifier="resource://a#b"), "is not an absolute URI without fragment"),
    (_resource(identifier="r:" + "a" * 511), "identifier: has 513 characters; at most 512"),
    (_resource(upstream="orders.example"), "resources[0].upstream: 'orders.example': an upstream"),
    (_resource(upstream="https://u:p@orders.example"), "resources[0].upstream: "),
    (_resource(upstream="https://orders.example/?a=b"), "upstream: has a query"),
    (_resource(upstream="https://orders.example/#a"), "resources[0].upstream: "),
    (_resource(upstream="ftp://orders.example"), "resources[0].upstream: "),
    (_resource(operations={"GET": "a"}), "operations.GET: '' must start with /"),
    (_resource(operations={"get /a": "a"}), "operations[\"get /a\"]: 'get' is not a method"),
    (_resource(operations={"GET /a": "a b"}), "operations[\"GET /a\"]: 'a b' is not a scope"),
    (_resource(tools={"a": "b"}), "resources[0].tools: only an MCP server has these"),
    (_resource(kind="mpc"), "resources[0].kind: "),
    (_resource(kind="mcp"), "resources[0].operations: an MCP server has none"),
    (_server(enforcement="transport_uniform"), "resources[0].enforcement: an MCP server's tools"),
    (_server(tools={"": "a"}), "has 0 characters; 1 to 512 are allowed"),
    (
        _server(tools={"a*b": "a"}),
        "resources[0].tools[\"a*b\"]: 'a*b' has a * that does not stand last",
    ),
    (_server(tools={"a**": "a"}), "has a * that does not stand last"),
    (_server(prompts={" a": "a"}), "begins or ends with a space"),
    (_server(resources={"a": "b c"}), "resources[0].resources.a: 'b c' is not a scope"),
    (_server(tools={"a": "agent:lifecycle"}), "resources[0].scopes: agent:lifecycle is about"),
    (_resource(operations={"GET /{a*}/b": "a"}), "{a*} may only stand last"),
    (_resource(operations={"GET /a/../b": "a"}), "has the segment '..'"),
    (_resource(operations={"GET /{a}": "a", "GET /{b}": "b"}), "operations: GET /{b} repeats"),
    (_resource(operations=[{"method": "GET", "path": "/a"}]), "operations[0].scope: is missing"),
    (
        _resource(operations=[{"method": "GET", "path": "a", "scope": "a"}]),
        "operations[0]: 'a' mus",
    ),
    (_resource(operations="GET /a"), "resources[0].operations: must be a mapping or a list"),
    (_resource(operations={"GET /a": "agent:lifecycle"}), "never reaches a resource"),
    (_resource(scopes=[f"s{n}" for n in range(64)]), "has 66 scopes; a resource has at most 64"),
    (_resource(enforcement="none"), "resources[0].enforcement: 'none' is not known"),
    (_resource(name=""), "resources[0].name: '' is not a text: 1 to 200 characters"),
    (document(policy=" \n"), "policy: is empty"),
    (document(policy=["permit"]), "policy: must be text"),
    (
        document(policy="/" * (256 * 1024 + 1)),
        "policy: has 262145 bytes; at most 262144 are allowed",
    ),
]


@pytest.mark.parametrize(("data", "says"), BAD, ids=[says[:50] for _, says in BAD])
def test_a_fault_is_named(data, says):
    assert any(says in fault for fault in _faults(data)), _faults(data)


def test_every_fault_is_named_at_once():
    data = _provider(kind="http_basic", header="Host") | {
        "applications": [{"name": "a"}, {"name": "a", "secret": "x" * 300}],
    }
    assert len(_faults(data)) == 5


def test_no_message_shows_a_secret():
    for secret in ("planted secret\n", " planted secret", "Bearer planted secret", "planted é"):
        assert all("planted" not in fault for fault in _faults(_provider(secret=secret)))


@pytest.mark.parametrize(
    "provider",
    [
        {"kind": "none"},
        {"kind": "bearer_token", "secret": "k", "header": "X-Token", "scheme": ""},
        {"kind": "api_key", "secret": "k", "header": "X-Key"},
        {"kind": "api_key", "secret": "k", "query_parameter": "key"},
        {"kind": "api_key", "secret": "k", "header": "Authorization", "scheme": "Token"},
        {"kind": "http_basic", "username": "u", "secret": "пароль"},
        {"kind": "caracal_mandate"},
        {"kind": "caracal_mandate", "header": "X-Mandate", "forward_identity": True},
        {"kind": "none", "allowed_hosts": ["orders.example", "::1", "10.0.0.1"]},
    ],
)
def test_every_kind_of_provider_can_be_written(provider):
    parse_document(document(providers=[{"name": "orders"} | provider]))
