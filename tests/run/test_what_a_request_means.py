"""A request leads to a resource of this run, to a host that was let go, or nowhere."""

import base64
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caracal.run.routes import (
    Directory,
    Refusal,
    Route,
    ToHost,
    ToResource,
    Tunnel,
    Unproven,
    route_name,
)
from caracal.sdk import Secret
from caracal.wire.upstream_url import UpstreamUrl

CREDENTIAL = "c" * 48
PROOF = "Basic " + base64.b64encode(f"caracal:{CREDENTIAL}".encode()).decode()
API = Route("api", "resource://api", UpstreamUrl.parse("http://api.example/v1"))
DEEP = Route("deep", "resource://deep", UpstreamUrl.parse("http://api.example/v1/deep"))
SECURE = Route(
    "secure", "resource://secure", UpstreamUrl.parse("https://secure.example"), ("SECURE_URL",)
)
BARE = Route("bare", "resource://bare")
DIRECTORY = Directory(
    (API, DEEP, SECURE, BARE),
    4000,
    Secret(CREDENTIAL),
    frozenset({("direct.example", 80), ("direct.example", 443)}),
)
CORPUS = [
    line.replace("CRED", CREDENTIAL).split(" ", 1)
    for line in Path(__file__).with_name("request_lines.txt").read_text().splitlines()
    if not line.startswith("#")
]


def read(method: str, target: str, proof: str | None = PROOF):
    return DIRECTORY.read(method, target, proof)


def below(rest: str) -> str:
    return f"/r/{CREDENTIAL}/{rest}"


@pytest.mark.parametrize(
    ("target", "route", "rest"),
    [
        (below("api/items?x=1"), API, "/items?x=1"),
        (below("api"), API, "/"),
        (below("api?x"), API, "?x"),
        (below("bare/x"), BARE, "/x"),
        ("http://api.example/v1/items?x=/../y", API, "/items?x=/../y"),
        ("http://API.example:80/v1", API, ""),
        ("http://api.example/v1/deep/x", DEEP, "/x"),
        ("http://api.example/v1/deeper", API, "/deeper"),
        ("https://secure.example/x", SECURE, "/x"),
        (f"http://localhost:4000{below('api/x')}", API, "/x"),
    ],
)
def test_it_leads_to_a_resource(target, route, rest):
    asked = read("GET", target)
    assert isinstance(asked, ToResource)
    assert (asked.route, asked.rest) == (route, rest)


@pytest.mark.parametrize(
    "target",
    [
        below("api/../x"),
        below("api/%2E%2e/x"),
        below("api\\x"),
        below("api/x#y"),
        "http://user@api.example/v1/x",
        "http://api.example/v1/../x",
        "ftp://api.example/v1",
        "http://0x7f.1:4000/x",
        "*",
    ],
)
def test_what_can_be_read_in_two_ways_goes_nowhere(target):
    asked = read("GET", target)
    assert isinstance(asked, Refusal)
    assert asked.status in (400, 404)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/r/",
        f"/r/{CREDENTIAL}x/api/x",
        f"/r/{CREDENTIAL[:-1]}/api/x",
        below("apis"),
        below(""),
    ],
)
def test_who_does_not_know_a_base_url_learns_nothing(target):
    assert read("GET", target) == read("GET", "/anything")


@pytest.mark.parametrize(
    "proof",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"caracal:wrong").decode(),
        "Basic " + base64.b64encode(f"other:{CREDENTIAL}".encode()).decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        f"Bearer {CREDENTIAL}",
    ],
)
def test_a_proxied_request_proves_whose_it_is(proof):
    assert read("GET", "http://api.example/v1/x", proof) == Unproven()
    assert read("CONNECT", "direct.example:443", proof) == Unproven()
    assert read("CONNECT", "nonsense", proof) == Unproven()


def test_a_tunnel_to_a_governed_host_names_the_variable_to_use():
    asked = read("CONNECT", "secure.example:443")
    assert isinstance(asked, Refusal)
    assert (asked.status, asked.code) == (403, "tunnel_governed")
    assert "SECURE_URL" in asked.message
    assert "CARACAL_URL_SECURE" in asked.message


def test_hosts_go_directly_only_where_the_operator_said_so():
    assert read("CONNECT", "direct.example:443") == Tunnel("direct.example", 443)
    assert read("GET", "http://direct.example/x") == ToHost(
        UpstreamUrl.parse("http://direct.example/x")
    )
    for method, target in [
        ("CONNECT", "direct.example:22"),
        ("CONNECT", "sub.direct.example:443"),
        ("GET", "http://direct.example:8080/"),
        ("GET", "http://169.254.169.254/latest/meta-data"),
    ]:
        asked = read(method, target)
        assert isinstance(asked, Refusal)
        assert asked.code == "host_not_governed"


@given(
    method=st.sampled_from(["GET", "POST", "CONNECT", "connect", "OPTIONS", ""]),
    target=st.one_of(
        st.text(max_size=60),
        st.from_regex(
            r"https?://(user@)?(api|secure|direct)\.example(:[0-9]{0,6})?(/[v1.%2e/?#]*)?"
        ),
        st.from_regex(r"/r/c{47,49}/(api|deep|bare)[a-z/.%2e?#\\]*"),
        st.sampled_from([target for _, target in CORPUS]),
    ),
    proof=st.sampled_from([PROOF, None, "Basic x", "Digest y"]),
)
@example(method="GET", target="", proof=PROOF)
def test_any_request_line_is_read_without_a_fault(method, target, proof):
    asked = read(method, target, proof)
    if isinstance(asked, ToResource):
        assert asked.route in DIRECTORY.routes
        assert CREDENTIAL in target or proof == PROOF
        assert not asked.rest or asked.rest[0] in "/?"
        assert "/../" not in asked.rest.partition("?")[0].lower().replace("%2e", ".")
    elif isinstance(asked, ToHost | Tunnel):
        assert proof == PROOF
        host = asked.url.host if isinstance(asked, ToHost) else asked.host
        assert host == "direct.example"
    elif isinstance(asked, Refusal):
        assert asked.status in (400, 403, 404)


def test_the_corpus_is_kept_and_read():
    kinds = {type(read(method, target)) for method, target in CORPUS}
    assert kinds == {ToResource, ToHost, Tunnel, Refusal}


def test_resources_get_names_of_their_own():
    taken: list[str] = []
    for resource in ("resource://Orders/v1", "https://orders/v1", "resource://---", "urn:x:y"):
        taken.append(route_name(resource, taken))
    assert taken == ["orders_v1", "orders_v1_2", "resource", "urn_x_y"]
