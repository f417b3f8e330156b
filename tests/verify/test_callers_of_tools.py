"""Who calls a tool is who its own request proved to be, and where nothing was proved it is nobody."""

import sys
from types import SimpleNamespace

import httpx
import pytest
from starlette.requests import Request

from caracal.verify import NotVerified, Principal
from caracal.verify.mcp import McpMiddleware, caller
from caracal.verify.refusals import Code
from tests.verify.examples import ORDERS, Server, refusal, resource_mandate, token

PRINCIPAL = Principal(resource_mandate())


def context(request: object):
    return SimpleNamespace(request_context=SimpleNamespace(request=request))


def request(**state) -> Request:
    return Request({"type": "http", "headers": [], "state": state})


def test_the_caller_is_the_one_of_the_request():
    assert caller(context(request(caracal=PRINCIPAL)), "orders:read") is PRINCIPAL


@pytest.mark.parametrize(
    "context",
    [
        SimpleNamespace(request_context=None),
        context(None),
        context(request()),
        context(request(caracal=None)),
        context(request(caracal="somebody")),
    ],
    ids=["no message", "stdio", "no door", "public", "another's state"],
)
def test_without_a_verified_request_there_is_no_caller(context):
    assert refusal(caller, context).code is Code.MISSING_TOKEN


def test_each_scope_that_is_lacking_is_named():
    with pytest.raises(NotVerified, match=r"lacks orders:drop, orders:sell$") as refused:
        caller(context(request(caracal=PRINCIPAL)), "orders:sell", "orders:read", "orders:drop")
    assert refused.value.code is Code.INSUFFICIENT_SCOPE


class Told:
    """A server that notes which user it was told of."""

    def __init__(self) -> None:
        self.users = []

    async def __call__(self, scope, receive, send) -> None:
        self.users.append(scope.get("user"))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def answered(told: Told, server: Server, path: str, **headers) -> httpx.Response:
    door = McpMiddleware(told, verifier=server.async_verifier(), public=["/health"])
    transport = httpx.ASGITransport(door)
    async with httpx.AsyncClient(transport=transport, base_url="http://any") as http:
        return await http.post(path, headers=headers)


async def test_the_server_is_told_of_a_user_in_its_own_terms_only_where_a_mandate_proved_one():
    told, server = Told(), Server()
    assert (await answered(told, server, "/health")).status_code == 204
    bearer = f"Bearer {token()}"
    assert (await answered(told, server, "/mcp", authorization=bearer)).status_code == 204
    nobody, user = told.users
    assert nobody is None
    assert user.access_token.resource == ORDERS
    assert user.access_token.scopes == ["orders:read", "orders:write"]
    assert user.access_token.token not in bearer


async def test_without_keys_the_server_sees_nothing_and_the_answer_says_when_to_come_again():
    told, server = Told(), Server()
    server.issuer.answer = httpx.ConnectError("down")
    answer = await answered(told, server, "/mcp", authorization=f"Bearer {token()}")
    assert (answer.status_code, answer.json()["error"]) == (503, "keys_unavailable")
    assert "retry-after" in answer.headers
    assert told.users == []


def test_without_the_package_no_door_is_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp.server.auth.provider", None)
    with pytest.raises(ImportError):
        McpMiddleware(Told(), verifier=Server().async_verifier())
