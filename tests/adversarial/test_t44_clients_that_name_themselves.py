"""T44: clients that nobody listed: documents that lie or lead elsewhere, registrations without end or made up."""

import json
import time

import pytest

from caracal.tokens import base64url
from tests.support.deployment import deployed
from tests.support.mcp_server import OFFERED, TICKETS, mcp_server
from tests.support.openid import openid_provider
from tests.support.running import running_caracal
from tests.support.sign_in import REDIRECT, signing_in
from tests.support.stock import Stock

GOOD = {"redirect_uris": [REDIRECT], "client_name": "Good"}


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="module")
def stock(tmp_path_factory, upstream, provider):
    data = tmp_path_factory.mktemp("t44") / "data"
    with mcp_server() as server:
        reach = f"{upstream.authority},{server.authority},{provider.authority}"
        environment = {
            "CARACAL_PRIVATE_EGRESS_HOSTS": reach,
            "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
        }
        with (
            running_caracal(data, environment=environment) as running,
            deployed(running, upstream) as deployment,
        ):
            yield Stock(deployment, server.url)
        assert "Traceback" not in running.log.read_text()


def zone_of(stock, provider, **more):
    server = {"kind": "mcp", "upstream": stock.server, **OFFERED}
    return stock.zone(
        applications=[{"name": "open", **more}],
        resources=[{"identifier": TICKETS, "endpoint": "tickets", **server}],
        subject_issuers=[provider.sign_in],
    )


@pytest.fixture(scope="module")
def documented(stock, provider):
    return zone_of(stock, provider, metadata_hosts=["127.0.0.1", "localhost"])


@pytest.fixture(scope="module")
def registering(stock, provider):
    return zone_of(stock, provider, takes_registrations=True)


@pytest.fixture(scope="module")
def closed(stock, provider):
    return zone_of(stock, provider)


def page(zone, provider, client_id):
    with signing_in(zone, provider, "open") as person:
        return person.page(client_id=client_id)


def register(zone, **changes):
    body = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return zone.http.post(f"{zone.issuer}/register", json=body)


def test_no_zone_takes_clients_that_name_themselves_unless_it_says_so(closed, provider):
    before = len(provider.fetched)
    assert page(closed, provider, f"{provider.url}/client.json").status_code == 400
    assert len(provider.fetched) == before
    assert register(closed).status_code == 403
    place = f"/.well-known/oauth-authorization-server/oauth/zones/{closed.zone.name}"
    said = closed.http.get(closed.issuer.partition("/oauth/")[0] + place).json()
    assert not {"client_id_metadata_document_supported", "registration_endpoint"} & said.keys()


LIES = {
    "another client's id": {"client_id": "https://evil.example/client.json"},
    "no id": {"client_id": None},
    "a secret": {"client_secret": "shared"},
    "another way to prove itself": {"token_endpoint_auth_method": "client_secret_basic"},
    "no redirects": {"redirect_uris": []},
    "a script as redirect": {"redirect_uris": ["javascript:alert(1)"]},
    "a redirect elsewhere": {"redirect_uris": ["https://evil.example/"]},
    "a name that hides": {"client_name": "good\u202eevil"},
}


@pytest.mark.parametrize("name", LIES)
def test_a_document_that_does_not_fit_makes_no_client(documented, provider, name):
    path = f"/{name.replace(' ', '-').replace(chr(39), '')}.json"
    said = GOOD | {"client_id": f"{provider.url}{path}"} | LIES[name]
    body = {key: value for key, value in said.items() if value is not None}
    provider.documents[path] = json.dumps(body).encode()
    assert page(documented, provider, f"{provider.url}{path}").status_code == 400
    assert path in provider.fetched


def test_a_document_that_fits_makes_one_and_is_asked_for_once(documented, provider):
    url = f"{provider.url}/fits.json"
    provider.documents["/fits.json"] = json.dumps(GOOD | {"client_id": url}).encode()
    answers = [page(documented, provider, url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "A client that calls itself <q>Good</q> wants to act for you" in answers[0].text
    assert "described at <strong>127.0.0.1</strong>" in answers[0].text
    assert provider.fetched.count("/fits.json") == 1


@pytest.mark.parametrize("name", ["open", "Good (client.example)", "", "</q><h1>open"])
def test_no_registered_client_looks_like_one_that_an_operator_listed(registering, provider, name):
    shown = page(registering, provider, register(registering, client_name=name).json()["client_id"])
    assert shown.status_code == 200
    assert shown.text.count("<h1>") == 1
    assert "nobody has looked at who it is" in shown.text
    assert "<h1>open wants" not in shown.text


def test_a_client_that_registers_makes_no_open_redirector(registering, provider):
    away = ["https://evil.example/"]
    client_id = register(registering, redirect_uris=away).json()["client_id"]
    with signing_in(registering, provider, "open") as person:
        answer = person.page(client_id=client_id, redirect_uri=away[0], response_type="token")
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_a_document_without_end_is_not_read(documented, provider):
    for size in (6_000, 300_000):
        path = f"/large-{size}.json"
        provider.documents[path] = b'{"x":"' + b"a" * size + b'"}'
        assert page(documented, provider, f"{provider.url}{path}").status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/client.json",
        "https://127.0.0.1:9/client.json",
        "http://127.0.0.1/client.json",
        "https://evil@127.0.0.1/client.json",
        "https://127.0.0.1/../client.json",
        "https://127.0.0.1/client.json?x=1",
        "https://127.0.0.1",
        "https://[::1]/client.json",
        "file:///etc/passwd",
    ],
)
def test_a_clients_id_leads_nowhere_that_is_not_allowed(documented, provider, url):
    before, began = len(provider.fetched), time.monotonic()
    assert page(documented, provider, url).status_code == 400
    assert len(provider.fetched) == before
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("path", ["/x/..", "/x/.", "/../x.json", "/./x.json"])
def test_a_clients_id_is_spelled_in_one_way_only(documented, provider, path):
    url = f"{provider.url}{path}"
    provider.documents[path] = json.dumps(GOOD | {"client_id": url}).encode()
    assert page(documented, provider, url).status_code == 400
    assert path not in provider.fetched


def test_a_registered_client_signs_people_in(registering, provider):
    answer = register(registering)
    assert answer.status_code == 201
    said = answer.json()
    assert said["token_endpoint_auth_method"] == "none"
    with signing_in(registering, provider, "open") as person:
        person.client_id = said["client_id"]
        assert person.redeem(person.code()).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example@evil.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_client_metadata"),
        ({"redirect_uris": [REDIRECT] * 9}, "invalid_client_metadata"),
        ({"client_secret": "x"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"client_name": "x" * 101}, "invalid_client_metadata"),
    ],
)
def test_a_registration_that_will_not_do_says_why(registering, changes, error):
    answer = register(registering, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_registrations_can_not_be_made_up_or_taken_to_another_zone(registering, provider, stock):
    client_id = register(registering).json()["client_id"]
    other = zone_of(stock, provider, takes_registrations=True)
    sealed = base64url.decode(client_id.removeprefix("registered.").encode())
    changed = sealed.replace(b"4711", b"4712")
    forged = "registered." + base64url.encode(changed).decode()
    assert changed != sealed
    for zone, used in (
        (other, client_id),
        (registering, forged),
        (registering, "registered."),
        (registering, "registered.!"),
    ):
        assert page(zone, provider, used).status_code == 400
    assert page(registering, provider, client_id).status_code == 200


def test_a_flood_of_registrations_is_held_off(stock, provider):
    zone = zone_of(stock, provider, takes_registrations=True)
    statuses = [register(zone).status_code for _ in range(70)]
    assert statuses.count(201) <= 60
    assert 429 in statuses
