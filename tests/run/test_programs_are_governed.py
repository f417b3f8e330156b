"""curl and Python, as they are: what a resource answers reaches them, and nothing else does."""

import json

import pytest

from tests.run.launching import found
from tests.support.deployment import API

NAME = "http://reports.example/v1"


@pytest.fixture(scope="module")
def curl():
    return found("curl")


def test_a_base_url_leads_to_the_resource(launching, curl, upstream):
    done = launching.run("sh", "-c", f'{curl} -sS "$CARACAL_URL_API/json?page=2"')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    seen = upstream.received[-1]
    assert seen.target == "/json?page=2"
    assert seen.header("authorization") is None


def test_a_url_of_the_upstream_goes_through_the_proxy(launching, curl, upstream):
    done = launching.run(curl, "-sS", f"{NAME}/json", CARACAL_RESOURCES=f"{API}={NAME}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert upstream.received[-1].target == "/json"
