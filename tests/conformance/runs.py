"""Where the scenarios are run: at an MCP server, at the Gateway before it, and at the zone's authorization server."""

import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.conformance.bearer import forwarder
from tests.conformance.suite import Found, Suite
from tests.support.deployment import deployed
from tests.support.openid import Provider, openid_provider
from tests.support.published_programs import free_port, published_server
from tests.support.running import running_caracal
from tests.support.sign_in import SignIn
from tests.support.stock import Stock, StockZone
from tests.support.upstream import recording_upstream

SERVER = "../../conformance/upstream/serve.py"
USE = "tools:use"
RESOURCE = {
    "identifier": "resource://conformance",
    "kind": "mcp",
    "endpoint": "tickets",
    "tools": {"test_*": USE, "json_schema_*": USE},
    "prompts": {"test_*": USE},
    "resources": {"test://*": USE},
}


@dataclass(frozen=True, slots=True)
class Place:
    """A zone before the MCP server at `server`, and where people sign in for it."""

    server: str
    zone: StockZone
    provider: Provider
    callback_port: int


@contextmanager
def place() -> Iterator[Place]:
    """Start all of it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        recording_upstream() as upstream,
        openid_provider(Path(folder)) as provider,
        published_server(SERVER, free_port()) as authority,
    ):
        environment = {
            "CARACAL_PRIVATE_EGRESS_HOSTS": f"{authority},{provider.authority},127.0.0.1",
            "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
        }
        with (
            running_caracal(Path(folder) / "data", environment=environment) as running,
            deployed(running, upstream) as deployment,
        ):
            server = f"http://{authority}/mcp"
            callback_port = free_port()
            redirect = f"http://127.0.0.1:{callback_port}/callback"
            desktop = {
                "name": "desktop",
                "redirect_uris": [redirect],
                "metadata_hosts": ["127.0.0.1"],
            }
            zone = Stock(deployment, server).zone(
                resources=[RESOURCE | {"upstream": server}],
                applications=[{"name": "agent"}, desktop],
                subject_issuers=[provider.sign_in],
            )
            yield Place(server, zone, provider, callback_port)


def directly(suite: Suite, at: Place, revision: str) -> list[Found]:
    results = suite.folder / "results" / f"directly-{revision}"
    return suite.results("server", results, "--url", at.server, "--requirements", revision)


def through_the_gateway(suite: Suite, at: Place, revision: str) -> list[Found]:
    url = urlsplit(at.zone.url)
    assert url.hostname is not None
    assert url.port is not None
    token = at.zone.access()
    results = suite.folder / "results" / f"gateway-{revision}"
    with forwarder((url.hostname, url.port), lambda: token) as authority:
        there = f"http://{authority}{url.path}"
        return suite.results("server", results, "--url", there, "--requirements", revision)


def authorization(suite: Suite, at: Place, revision: str) -> list[Found]:
    """Run the scenarios of authorization servers; a person signs in where the suite says that one should."""
    results = suite.folder / "results" / f"authorization-{revision}"
    client = at.zone.ids()["desktop"]
    trusted = ssl.create_default_context(cafile=str(at.provider.ca_file))
    with httpx.Client(verify=trusted, trust_env=False, timeout=30) as browser:
        person = SignIn(at.zone, at.provider, browser, client)

        def sign_in(line: str) -> None:
            if line.startswith(f"{at.zone.issuer}/authorize?"):
                threading.Thread(target=_sign_in, args=(person, line)).start()

        arguments = ["--url", at.zone.issuer, "--client-id", client, "--resource", at.zone.url]
        arguments += ["--port", str(at.callback_port), "--spec-version", revision]
        return suite.results("authorization", results, *arguments, told=sign_in)


def _sign_in(person: SignIn, url: str) -> None:
    """Do what a browser does at `url`, up to the client's callback."""
    page = person.browser.get(url)
    back = person.at_provider(person.answer(person.form(page)))
    person.browser.get(person.browser.get(back).headers["location"])
