"""Run by the clients' interpreter: stock MCP clients, told a URL and how to prove themselves, that use tools.

They are told in a JSON list on standard input, and say what became of them in another. They know nothing of us.
"""

import asyncio
import json
import re
import ssl
import sys
from typing import Any
from urllib.parse import parse_qsl

import fastmcp.client.auth as by_fastmcp
import httpx2
import mcp.client.auth.extensions.client_credentials as by_mcp
from fastmcp import Client as FastmcpClient
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
)


class Memory:
    """Keeps tokens in memory."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, info: Any) -> None:
        self.client = info


def signer(told: dict[str, Any], library: Any) -> Any:
    parameters = library.SignedJWTParameters(
        issuer=told["client_id"],
        subject=told["client_id"],
        signing_key=told["key"],
        signing_algorithm=told["algorithm"],
    )
    return parameters.create_assertion_provider()


def credentials(told: dict[str, Any], library: Any, **more: Any) -> Any:
    more |= {"client_id": told["client_id"], "issuer": told.get("issuer")}
    if "key" in told:
        return library.PrivateKeyJWTOAuthProvider(assertion_provider=signer(told, library), **more)
    return library.ClientCredentialsOAuthProvider(
        client_secret=told["secret"], token_endpoint_auth_method=told["method"], **more
    )


class Browser:
    """A person's browser, that allows what it is asked for, and goes where it is sent."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.landed = ""

    async def go(self, url: str) -> None:
        trusted = ssl.create_default_context(cafile=self.told["ca_file"])
        async with httpx2.AsyncClient(verify=trusted, follow_redirects=False) as http:
            page = (await http.get(url)).text
            fields = dict(re.findall(r'name="(ticket|issuer)" value="([^"]*)"', page))
            action = re.search(r'action="([^"]*)"', page)[1]
            answer = await http.post(action, data=fields)
            while not answer.headers["location"].startswith(self.told["redirect_uri"]):
                answer = await http.get(answer.headers["location"])
            self.landed = answer.headers["location"]

    async def came_back(self) -> AuthorizationCodeResult:
        said = dict(parse_qsl(self.landed.partition("?")[2]))
        return AuthorizationCodeResult(**said)


def signing_in(told: dict[str, Any], storage: Memory) -> OAuthClientProvider:
    """A public client that a person signs in for."""
    described = {
        "redirect_uris": [told["redirect_uri"]],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
    }
    if told["client_id"]:
        storage.client = OAuthClientInformationFull(client_id=told["client_id"], **described)
    browser = Browser(told)
    return OAuthClientProvider(
        server_url=told["url"],
        client_metadata=OAuthClientMetadata(client_name="stock", **described),
        storage=storage,
        redirect_handler=browser.go,
        callback_handler=browser.came_back,
        client_metadata_url=told.get("client_metadata_url"),
    )


async def use(client: Any, told: dict[str, Any]) -> dict[str, Any]:
    listed = await client.list_tools()
    tools = listed if isinstance(listed, list) else listed.tools
    answers = []
    for name, arguments in told["calls"]:
        try:
            answer = await client.call_tool(name, arguments)
            answers.append(answer.content[0].text)
        except Exception as fault:  # noqa: BLE001 (whatever it is, the test reads it)
            answers.append(f"{type(fault).__name__}: {fault}")
    return {"tools": sorted(tool.name for tool in tools), "answers": answers}


async def run(told: dict[str, Any]) -> dict[str, Any]:
    if told["library"] == "fastmcp":
        async with FastmcpClient(told["url"], auth=credentials(told, by_fastmcp)) as client:
            return await use(client, told)
    storage = Memory()
    if "redirect_uri" in told:
        auth = signing_in(told, storage)
    else:
        auth = credentials(told, by_mcp, server_url=told["url"], storage=storage)
    async with create_mcp_http_client(auth=auth) as http:
        transport = streamable_http_client(told["url"], http_client=http)
        async with Client(transport, mode=told.get("mode", "auto")) as client:
            return await use(client, told) | {"granted": storage.tokens.scope}


async def main() -> list[dict[str, Any]]:
    return [await run(told) for told in json.load(sys.stdin)]


json.dump(asyncio.run(main()), sys.stdout)
