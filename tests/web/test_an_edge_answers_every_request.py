"""Routing, health and what goes wrong, over ASGI."""

import asyncio

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.responses import Response, StreamingResponse
from structlog.testing import capture_logs

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.web.asgi import NO_STORE, Reply, send_json, send_reply
from caracal_server.web.health import Readiness, health_routes
from caracal_server.web.limits import InFlight
from caracal_server.web.problems import render_coordinator, render_problem_details
from caracal_server.web.requests import request_id_of
from caracal_server.web.routes import AnswerCutShort, Edge, Route, json_response


class _Entropy:
    def token_bytes(self, count: int) -> bytes:
        return bytes(count)

    def new_id(self) -> str:
        return "fresh"


async def _hello(request):
    return json_response({"item": request.path_params["item"], "id": request_id_of(request)})


async def _literal(_request):
    return json_response({"literal": True}, 201)


async def _broken(_request):
    raise ZeroDivisionError("planted detail")


async def _away(_request):
    raise Unavailable(Reason.STORE_UNAVAILABLE, "planted detail")


async def _breaks_off(_request):
    async def parts():
        yield b"begun"
        raise ZeroDivisionError("planted detail")

    return StreamingResponse(parts())


ROUTES = (
    Route("GET", "/items/special", _literal),
    Route("GET", "/items/{item}", _hello),
    Route("DELETE", "/items/{item}", _hello),
    Route("GET", "/broken", _broken),
    Route("GET", "/away", _away),
    Route("GET", "/breaks-off", _breaks_off),
)


def _client(routes=ROUTES, refuse=render_problem_details, **more):
    edge = Edge(routes, refuse=refuse, entropy=_Entropy(), **more)
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://edge")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/items/a", 200),
        ("HEAD", "/items/a", 200),
        ("DELETE", "/items/a", 200),
        ("GET", "/items/special", 201),
        ("GET", "/items/a/", 404),
        ("GET", "/items/", 404),
        ("GET", "/items/a%2Fb", 404),
        ("GET", "/nothing", 404),
        ("POST", "/items/a", 405),
        ("OPTIONS", "/items/a", 405),
        ("DELETE", "/items/special", 405),
        ("GET", "/broken", 500),
        ("GET", "/away", 503),
    ],
)
async def test_every_request_gets_its_answer_with_an_id(method, path, status):
    with capture_logs():
        async with _client() as client:
            response = await client.request(method, path, headers={"x-request-id": "mine"})
    assert response.status_code == status
    assert response.headers.get_list("x-request-id") == ["mine"]
    assert response.headers["cache-control"] == "no-store"
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["request_id"] == "mine"
    assert "planted" not in response.text


async def test_a_wrong_method_is_told_which_are_right():
    async with _client() as client:
        response = await client.post("/items/a")
    assert response.headers["allow"] == "DELETE, GET, HEAD"


async def test_a_request_without_an_id_gets_one():
    async with _client() as client:
        response = await client.get("/items/a")
    assert response.headers["x-request-id"] == response.json()["id"] == "fresh"


async def test_an_edge_refuses_in_its_own_language():
    async with _client(refuse=render_coordinator) as client:
        response = await client.get("/nothing")
    assert response.json()["error"] == "not_found"
    assert response.headers["content-type"] == "application/json"


async def test_an_answer_that_breaks_off_ends_the_connection_and_tells_nothing():
    with capture_logs() as logs:
        async with _client() as client:
            with pytest.raises(AnswerCutShort) as caught:
                await client.get("/breaks-off")
    assert "planted" not in str(caught.value) + str(logs)
    assert caught.value.__cause__ is None


def test_a_route_that_is_listed_twice_is_an_error_at_start():
    with pytest.raises(ValueError, match="GET /a appears twice"):
        Edge(
            [Route("GET", "/a", _hello), Route("GET", "/a", _hello)],
            refuse=render_coordinator,
            entropy=_Entropy(),
        )


async def test_the_request_one_too_many_is_refused_and_health_is_not():
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_request):
        entered.set()
        await leave.wait()
        return Response()

    bound = InFlight(1)
    routes = [Route("GET", "/slow", slow), *health_routes(Readiness({}), CollectorRegistry())]
    async with _client(routes, in_flight=bound) as client:
        first = asyncio.create_task(client.get("/slow"))
        await asyncio.wait_for(entered.wait(), 5)
        refused = await client.get("/slow")
        live = await client.get("/health")
        leave.set()
        assert (await first).status_code == 200
        assert bound.count == 0
        assert (await client.get("/slow")).status_code == 200
    assert (refused.status_code, refused.json()["reason"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert (live.status_code, live.content) == (200, b"")


async def test_readiness_names_what_fails():
    wrong: list[str | None] = [None]

    def broken() -> str | None:
        raise OSError("planted detail")

    ready = Readiness({"store": lambda: wrong[0]})
    unready = Readiness({"store": lambda: None, "odd": broken})
    for readiness, detail, expected in (
        (ready, None, {"ok": True, "ready": True, "failing": []}),
        (
            ready,
            "gone",
            {"ok": False, "ready": False, "failing": [{"check": "store", "detail": "gone"}]},
        ),
        (
            unready,
            None,
            {
                "ok": False,
                "ready": False,
                "failing": [{"check": "odd", "detail": "the check itself failed: OSError"}],
            },
        ),
    ):
        wrong[0] = detail
        async with _client(health_routes(readiness, CollectorRegistry())) as client:
            response = await client.get("/ready")
        assert response.json() == expected
        assert response.status_code == (200 if expected["ok"] else 503)


async def test_what_others_wait_for_is_reported_and_makes_nothing_unready():
    readiness = Readiness({"store": lambda: None}, {"streams": lambda: "11 s behind"})
    async with _client(health_routes(readiness, CollectorRegistry())) as client:
        response = await client.get("/ready")
    assert response.status_code == 200
    assert response.json() == {
        "ok": True,
        "ready": True,
        "failing": [],
        "behind": [{"check": "streams", "detail": "11 s behind"}],
    }


async def test_metrics_are_prometheus_text():
    registry = CollectorRegistry()
    Counter("calls", "Calls.", registry=registry).inc()
    async with _client(health_routes(Readiness({}), registry)) as client:
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "calls_total 1.0" in response.text


async def test_ready_made_answers_state_their_length():
    sent = []

    async def send(message):
        sent.append(message)

    await send_reply(send, Reply(404, (NO_STORE,), b"abc"))
    await send_json(send, 200, b"{}", request_id="r", more=[(b"x-more", b"1")])
    first, _, second, body = sent
    assert (first["status"], first["headers"]) == (404, [NO_STORE, (b"content-length", b"3")])
    headers = dict(second["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == b"2"
    assert headers[b"x-request-id"] == b"r"
    assert headers[b"x-more"] == b"1"
    assert body["body"] == b"{}"
