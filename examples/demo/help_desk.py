"""The act with an MCP server: what is listed, called, refused, and held when it changes its story."""

import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from examples.demo.processes import AgentProcess, RunningCaracal
from examples.demo.story import Story, expect

ZONE_FILE: Final = Path(__file__).with_name("help-desk.yaml")
RESOURCE: Final = "resource://help-desk"
START_SECONDS: Final = 60.0
REVISION: Final = "2026-07-28"
_SCOPES: Final = "tickets:read tickets:refund"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "support-agent", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class RunningHelpDesk:
    """`tickets_server.py` in a process of its own, on a free loopback port."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._port = int(listening.getsockname()[1])
        self._sign = directory / "taken-over"
        program = str(Path(__file__).with_name("tickets_server.py"))
        self._process = subprocess.Popen(
            [sys.executable, program, str(self._port), str(self._sign)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self._port}"

    def lie(self) -> None:
        """From now on the server describes a tool otherwise."""
        self._sign.touch()

    def wait(self) -> None:
        """Return once it listens."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the MCP server did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(slots=True)
class _Caller:
    """An agent that may read tickets and refund."""

    agent: AgentProcess
    session: str
    delegation: str

    def ask(self, method: str, **params: Any) -> Any:
        """Send one message to the MCP server, with a mandate of its own."""
        minted = self.agent.do(
            "mint", session=self.session, delegation=self.delegation, scope=_SCOPES
        )
        expect(minted["status"] == 200, f"a mandate for tools is granted: {minted['body']}")
        named = {"Mcp-Name": params["name"]} if "name" in params else {}
        return self.agent.do(
            "call",
            mandate=minted["body"]["access_token"],
            method="POST",
            path="/",
            body={
                "jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": _META},
            },
            headers={
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": REVISION,
                "Mcp-Method": method,
                **named,
            },
        )  # fmt: skip

    def tool(self, name: str, **arguments: Any) -> Any:
        return self.ask("tools/call", name=name, arguments=arguments)

    def names(self) -> list[str]:
        return sorted(tool["name"] for tool in self.ask("tools/list")["body"]["result"]["tools"])


def call_tools(story: Story, caracal: RunningCaracal, help_desk: RunningHelpDesk) -> None:
    story.chapter("An MCP server's tools are decided on one by one")
    help_desk.wait()
    where = {"HELP_DESK_URL": f"http://{help_desk.authority}/mcp"}
    applied = caracal.command("apply", str(ZONE_FILE), environment=where)
    agent = AgentProcess(caracal, applied["zone"]["id"], applied["applications"][0], RESOURCE)
    try:
        _act(story, caracal, help_desk, _caller(agent, applied["applications"][0]["id"]))
    finally:
        agent.stop()


def _caller(agent: AgentProcess, application: str) -> _Caller:
    root = agent.do("start")["body"]["agent_session_id"]
    session = agent.do("start", parent=root)["body"]["agent_session_id"]
    handed = agent.do(
        "delegate",
        source_session_id=root,
        target_session_id=session,
        receiver_application_id=application,
        scopes=_SCOPES.split(),
        max_hops=1,
        ttl_seconds=600,
    )
    return _Caller(agent, session, handed["body"]["delegation_edge_id"])


def _act(
    story: Story, caracal: RunningCaracal, help_desk: RunningHelpDesk, caller: _Caller
) -> None:
    names = caller.names()
    expect(names == ["refund", "search_tickets"], f"the list holds what may be called: {names}")
    story.tell(f"tools/list -> {', '.join(names)}; the server has delete_ticket too")
    found = caller.tool("search_tickets", text="desk")
    expect(found["status"] == 200, "a permitted tool may be called")
    story.tell(f"search_tickets -> {found['body']['result']['content'][0]['text']}")
    paid = caller.tool("refund", ticket=1, cents=500)
    expect(paid["status"] == 200, "a small refund is permitted")
    for answer in (
        caller.tool("delete_ticket", ticket=1),
        caller.tool("refund", ticket=1, cents=501),
    ):
        expect(answer["status"] == 403, f"what is not permitted is refused: {answer['body']}")
        story.tell(f"-> 403 {answer['body']['reason']}: {answer['body']['error_description']}")
    help_desk.lie()
    names = caller.names()
    expect(names == ["refund"], f"a tool that is described otherwise is not listed: {names}")
    held = caller.tool("search_tickets", text="desk")
    expect(held["body"].get("reason") == "tool_definition_changed", "nor can it be called")
    story.tell(f"the server describes search_tickets otherwise -> 403 {held['body']['reason']}")
    told = _difference(caracal)
    expect("pay 500 cents" in told, f"an operator sees what changed: {told}")
    story.tell("caracal tools diff -> " + told)


def _difference(caracal: RunningCaracal) -> str:
    """What is new in the held definition, once Control has been told of it."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        shown = caracal.run("tools", "diff", RESOURCE, "search_tickets", "--zone", "help-desk")
        new = [line[1:].strip() for line in shown.stdout.splitlines() if line.startswith("+  ")]
        if new or time.monotonic() > deadline:
            return " ".join(new)
