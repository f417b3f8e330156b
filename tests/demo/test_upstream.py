"""The demo's third-party API behaves like a stranger's: a token or nothing, and its own log."""

import socket
import stat
import time
from collections.abc import Iterator

import httpx
import pytest

from examples.demo.upstream import LoggedRequest, RunningDatasette, UpstreamError

EVENTS = 20_000
NEW_ORDER = {
    "customer": "Gita Rao",
    "item": "brass lamp",
    "quantity": 1,
    "total_cents": 6_500,
    "status": "paid",
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDatasette]:
    with RunningDatasette(tmp_path_factory.mktemp("upstream"), events=EVENTS) as running:
        yield running


@pytest.fixture
def stranger(upstream: RunningDatasette) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url, trust_env=False) as client:
        yield client


@pytest.fixture
def holder(upstream: RunningDatasette) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {upstream.token}"}
    with httpx.Client(base_url=upstream.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/shop.json", "/shop/orders.json", "/shop/events.csv", "/-/databases.json"]
)
def test_without_the_token_nothing_is_shown(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 403


def test_without_the_token_nothing_is_written(stranger: httpx.Client, holder: httpx.Client) -> None:
    before = holder.get("/shop/orders.json?_shape=array").json()

    refused = stranger.post("/shop/orders/-/insert", json={"row": NEW_ORDER})

    assert refused.status_code == 403
    assert holder.get("/shop/orders.json?_shape=array").json() == before


def test_a_token_signed_with_another_secret_is_refused(
    stranger: httpx.Client, upstream: RunningDatasette
) -> None:
    body, _ = upstream.token.rsplit(".", 1)
    forged = {"authorization": f"Bearer {body}.AAAAAAAAAAAAAAAAAAAAAAAAAAA"}

    assert stranger.get("/shop/orders.json", headers=forged).status_code == 401


def test_with_the_token_rows_are_read_and_inserted(holder: httpx.Client) -> None:
    first = holder.get("/shop/orders.json?_shape=array").json()[0]
    inserted = holder.post("/shop/orders/-/insert", json={"row": NEW_ORDER})
    key = inserted.json()["rows"][0]["id"]

    assert (first["customer"], first["item"]) == ("Amara Okafor", "walnut desk")
    assert inserted.status_code == 201
    assert holder.get(f"/shop/orders/{key}.json").json()["rows"] == [{"id": key, **NEW_ORDER}]


def test_even_with_the_token_rows_cannot_be_deleted(holder: httpx.Client) -> None:
    assert holder.post("/shop/orders/1/-/delete").status_code == 403


def test_a_large_table_streams_as_csv_while_it_is_read(holder: httpx.Client) -> None:
    began = time.monotonic()
    with holder.stream("GET", "/shop/events.csv?_stream=1") as answer:
        lines = answer.iter_lines()
        header = next(lines)
        first_line_after = time.monotonic() - began
        rows = sum(1 for _ in lines)
    whole_after = time.monotonic() - began

    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert header == "id,at,kind,detail"
    assert rows == EVENTS
    assert first_line_after < whole_after / 2


def test_its_own_log_names_each_request_and_its_status(
    upstream: RunningDatasette, stranger: httpx.Client, holder: httpx.Client
) -> None:
    before = len(upstream.requests())

    stranger.get("/shop/orders.json?seen=1")
    holder.get("/shop/orders.json?seen=2")

    assert upstream.requests()[before:] == (
        LoggedRequest("GET", "/shop/orders.json?seen=1", 403),
        LoggedRequest("GET", "/shop/orders.json?seen=2", 200),
    )


def test_its_token_and_logs_are_readable_by_their_owner_only(upstream: RunningDatasette) -> None:
    for path in (upstream.token_file, upstream.access_log, upstream.server_log):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert upstream.token_file.read_text(encoding="ascii").strip() == upstream.token


def test_it_returns_on_the_same_port_with_its_rows_its_token_and_its_log(tmp_path) -> None:
    upstream = RunningDatasette(tmp_path, events=1)
    with upstream:
        url, token = upstream.url, upstream.token
        headers = {"authorization": f"Bearer {token}"}
        httpx.post(f"{url}/shop/orders/-/insert", json={"row": NEW_ORDER}, headers=headers)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/shop/orders.json")
    with upstream:
        rows = httpx.get(f"{url}/shop/orders.json?_shape=array", headers=headers).json()

    assert (upstream.url, upstream.token) == (url, token)
    assert rows[-1]["customer"] == NEW_ORDER["customer"]
    assert [request.method for request in upstream.requests()] == ["POST", "GET"]


def test_a_taken_port_is_an_error_that_says_so(tmp_path) -> None:
    upstream = RunningDatasette(tmp_path, events=1)
    with upstream:
        port = upstream.port
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(UpstreamError, match="address already in use"),
    ):
        upstream.start()
