"""T8: a zone or an upstream leads the Gateway to where only insiders should get."""

import pytest

from tests.support.deployment import API, reason, unique, zone_document
from tests.support.upstream import METADATA_URL

PRIVATE = [
    "http://127.0.0.1:{other}",
    "http://localhost:{other}",
    "http://[::1]:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://0.0.0.0:{port}",
    "http://10.0.0.1",
    "http://172.16.0.1:{port}",
    "http://192.168.1.1",
    "http://100.64.0.1",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.1.1",
    "http://[fe80::1]",
    "http://[fd00:ec2::254]",
    "http://[64:ff9b::a9fe:a9fe]",
    "http://[2002:7f00:1::]",
    "http://224.0.0.1",
    "http://240.0.0.1",
    "https://127.0.0.1:{other}",
]


@pytest.mark.parametrize("template", PRIVATE)
def test_an_address_that_was_not_listed_is_not_dialled(deployment, upstream, template):
    url = template.format(port=upstream.port, other=upstream.port + 1)
    resource = {"identifier": API, "upstream": url, "operations": {"GET /{path*}": "api:read"}}
    before = len(upstream.received)
    authority = deployment.zone(resources=[resource]).agent().authority()
    answer = authority.call("/json")
    assert (answer.status_code, reason(answer)) == (502, "egress_refused")
    assert len(upstream.received) == before
    result = authority.agent.zone.entry(answer.headers["x-request-id"], "call.result")
    assert result["reason"] == "egress_refused"


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433:80",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://127.1",
        "file:///etc/passwd",
        "http://user:password@127.0.0.1",
        "http://127.0.0.1:80#x",
        "http://",
        "gopher://127.0.0.1",
        "http://127.0.0.1\r\nHost: x",
    ],
)
def test_an_address_in_disguise_is_refused_when_it_is_written_or_when_it_is_called(
    deployment, upstream, url
):
    resource = {"identifier": API, "upstream": url, "operations": {"GET /{path*}": "api:read"}}
    document = zone_document(unique("zone"), upstream.url, resources=[resource])
    applied = deployment.put_zone(document)
    if applied.status_code == 422:
        assert reason(applied) == "zone_file_invalid"
        return
    authority = deployment.zone(resources=[resource]).agent().authority()
    answer = authority.call("/json")
    assert answer.status_code == 502
    assert reason(answer) in ("egress_refused", "upstream_unreachable")


def test_a_redirect_to_the_metadata_service_is_not_followed_and_not_handed_on(authority, upstream):
    before = len(upstream.received)
    answer = authority.call("/redirect")
    assert answer.status_code == 302
    assert len(upstream.received) == before + 1
    assert METADATA_URL not in str(answer.headers)
    assert "location" not in answer.headers


def test_the_caller_is_not_told_what_lies_behind_the_gateway(deployment):
    url = "http://10.11.12.13:1415"
    resource = {"identifier": API, "upstream": url, "operations": {"GET /{path*}": "api:read"}}
    authority = deployment.zone(resources=[resource]).agent().authority()
    answer = authority.call("/json")
    assert "10.11.12.13" not in answer.text
    recorded = authority.agent.zone.entry(answer.headers["x-request-id"], "call.result")
    assert "10.11.12.13" in recorded["detail"]
