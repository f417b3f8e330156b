"""T12: somebody reads what the server writes: logs, errors, metrics, evidence, files, backups."""

import base64
import stat
from urllib.parse import quote

import pytest

from tests.support.deployment import API, deployed
from tests.support.running import running_caracal

UPSTREAM_KEY = "planted-upstream-key/+= 9d4f"
BROUGHT = "planted-application-secret-77e1"


def spellings(secret: str) -> set[bytes]:
    """The secret in every form in which it could be written down by accident."""
    data = secret.encode()
    basic = base64.b64encode(b"shop:" + data)
    encoded = {base64.b64encode(data), base64.urlsafe_b64encode(data).rstrip(b"="), basic}
    return {
        data,
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        data.hex().encode(),
    } | encoded


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory, upstream):
    """A server after a day's work, and everything that it said to anybody."""
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("secrets") / "data"
    said: list[str] = []
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        zone = it.zone(
            applications=[
                {"name": "agent"},
                {"name": "helper"},
                {"name": "own", "secret": BROUGHT},
            ],
            providers=[
                {
                    "name": "custody",
                    "kind": "http_basic",
                    "username": "shop",
                    "secret": UPSTREAM_KEY,
                },
                {"name": "key", "kind": "api_key", "query_parameter": "k", "secret": UPSTREAM_KEY},
            ],
            resources=[
                {
                    "identifier": identifier,
                    "upstream": upstream.url,
                    "provider": provider,
                    "operations": {"GET /{path*}": "api:read", "POST /{path*}": "api:write"},
                }
                for identifier, provider in ((API, "custody"), ("resource://key", "key"))
            ],
        )
        agent = zone.agent()
        authority = agent.authority(constraints={"resources": [API, "resource://key"]})
        upstream.raw["leak"] = b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"
        tokens = [authority.mint() for _ in range(4)]
        for token, path in zip(tokens, ("/json", "/hold/../x", "/close", "/raw/leak"), strict=True):
            try:
                said.append(authority.use(token, path).text)
            except Exception as fault:  # noqa: BLE001 (a response that breaks off)
                said.append(repr(fault))
        by_key = authority.mint(resource="resource://key")
        called = authority.use(by_key, "/json", headers={"x-caracal-resource": "resource://key"})
        assert called.status_code == 200
        said.append(agent.token(client_secret=BROUGHT, scope="agent:lifecycle", resource=API).text)
        said.append(agent.token(scope="nonsense", resource=API, subject_token=agent.secret).text)
        said.append(it.put_zone(zone.document | {"policy": "nonsense"}).text)
        broken = {
            **zone.document,
            "providers": [{"name": "custody", "kind": "none", "secret": UPSTREAM_KEY}],
        }
        said.append(it.put_zone(broken).text)
        said.append(it.put_zone(zone.document, plan="true").text)
        shown = [
            "/v1/status",
            "/v1/zones",
            f"/v1/zones/{zone.id}",
            "/v1/operators",
            "/metrics",
            "/ready",
        ]
        said += [it.http.get(running.control + path, headers=it.operator).text for path in shown]
        said.append(it.http.get(f"{running.gateway}/metrics").text)
        said.append(repr(zone.evidence()))
        with_wal = read_files(data)
    said.append(running.log.read_text())
    secrets = {
        "the upstream's key": UPSTREAM_KEY,
        "a secret that was brought": BROUGHT,
        "a secret that was made": agent.secret,
        "a mandate": tokens[0],
        "a mandate's signature": tokens[0].rpartition(".")[2],
        "the operator's token": running.token,
    }
    return data, secrets, said, with_wal + read_files(data)


def read_files(data) -> list[tuple[str, bytes]]:
    """All that is on disk, but for the one file that is there to hold the operator's token."""
    files = [file for file in data.rglob("*") if file.is_file() and file.name != "operator.token"]
    assert len(files) >= 4
    return [(file.name, file.read_bytes()) for file in files]


def test_no_secret_is_in_an_answer_a_log_a_metric_or_the_evidence(lived_in):
    _, secrets, said, _ = lived_in
    assert len(said) > 10
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            assert not [text for text in said if spelling.decode() in text], name


def test_no_secret_is_in_a_file_while_it_runs_or_after(lived_in):
    _, secrets, _, files = lived_in
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            assert not [file for file, content in files if spelling in content], name


def test_the_planted_secrets_were_in_use(lived_in, upstream):
    """Else the two tests above would find nothing whatever the server did."""
    basic = "Basic " + base64.b64encode(f"shop:{UPSTREAM_KEY}".encode()).decode()
    assert [seen for seen in upstream.received if ("authorization", basic) in seen.headers]
    in_query = "k=" + quote(UPSTREAM_KEY, safe="")
    assert [seen for seen in upstream.received if in_query in seen.target]


def test_what_is_on_disk_is_for_its_owner_only(lived_in):
    data, _, _, _ = lived_in
    for file in (data, *data.rglob("*")):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
