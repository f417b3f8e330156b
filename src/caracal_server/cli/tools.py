"""`caracal tools`: what MCP servers say of their tools, and what operators accept of it."""

import difflib
import json as json_text
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import print_fields, print_json, print_table, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import choose_zone

app = typer.Typer(help="Tools of MCP servers: their definitions, and which of them are in force.")

_SHOWN = 12


class Tool(msgspec.Struct, frozen=True):
    resource: str
    tool: str
    state: str
    digest: str
    definition: str
    held_digest: str
    held_definition: str
    seen_at: str
    accepted_by: str


class _Tools(msgspec.Struct, frozen=True):
    items: tuple[Tool, ...]


class _Accept(msgspec.Struct, frozen=True):
    resource: str
    tool: str
    digest: str


ResourceArgument = Annotated[
    str, typer.Argument(metavar="RESOURCE", help="The identifier of the MCP server's resource.")
]
ToolArgument = Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name.")]


@app.command("list")
def list_tools(
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show the tools that servers have listed: `held` ones pass again once they are accepted."""
    with Server.connect(server, token_file, data, "list the tools") as connected:
        found = _tools(connected, choose_zone(connected, zone).id)
    if json:
        print_json(found)
        return
    rows = [
        (
            one.resource,
            one.tool,
            one.state.replace("_", " "),
            one.digest[:_SHOWN] or "-",
            one.held_digest[:_SHOWN] or "-",
            one.accepted_by or "first use" if one.digest else "-",
        )
        for one in found.items
    ]
    columns = ("RESOURCE", "TOOL", "STATE", "DIGEST", "HELD", "ACCEPTED BY")
    print_table(columns, rows, empty="no tools have been listed yet")


@app.command()
def diff(
    resource: ResourceArgument,
    tool: ToolArgument,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
) -> None:
    """Show what a held definition says otherwise than the one in force."""
    with Server.connect(server, token_file, data, "compare the definitions") as connected:
        found = _find(_tools(connected, choose_zone(connected, zone).id), resource, tool)
    if not found.held_digest:
        say(f"nothing is held; in force: {found.digest}")
        return
    for line in _differences(found):
        say(line)
    say(f"accept it with: caracal tools accept {resource} {tool} --digest {found.held_digest}")


@app.command()
def accept(
    resource: ResourceArgument,
    tool: ToolArgument,
    digest: Annotated[
        str,
        typer.Option(
            "--digest",
            metavar="SHA256",
            help="Of the definition that you looked at: the held one, or the one in force.",
        ),
    ],
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Put a definition in force. The tool is listed and may be called again."""
    with Server.connect(server, token_file, data, "accept the definition") as connected:
        path = path_of("v1", "zones", choose_zone(connected, zone).id, "tools", "accept")
        body = msgspec.json.encode(_Accept(resource, tool, digest))
        accepted = connected.send("POST", path, Tool, body)
    if json:
        print_json(accepted)
        return
    print_fields(
        (
            ("resource", accepted.resource),
            ("tool", accepted.tool),
            ("in force", accepted.digest),
            ("accepted by", accepted.accepted_by),
        )
    )


def _tools(server: Server, zone_id: str) -> _Tools:
    return server.get(path_of("v1", "zones", zone_id, "tools"), _Tools)


def _find(tools: _Tools, resource: str, tool: str) -> Tool:
    for one in tools.items:
        if (one.resource, one.tool) == (resource, tool):
            return one
    raise CommandFailed(
        ExitCode.REFUSED,
        f"{resource} has listed no tool {tool}",
        "see `caracal tools list`",
    )


def _differences(tool: Tool) -> Iterator[str]:
    return difflib.unified_diff(
        _lines(tool.definition),
        _lines(tool.held_definition),
        f"in force {tool.digest[:_SHOWN]}",
        f"held {tool.held_digest[:_SHOWN]}",
        lineterm="",
    )


def _lines(definition: str) -> list[str]:
    """A definition as lines of plain ASCII: a server wrote it, and may have hidden something in it."""
    if not definition:
        return []
    return json_text.dumps(json_text.loads(definition), indent=2, ensure_ascii=True).splitlines()
