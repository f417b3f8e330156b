"""Run by the clients' interpreter: the MCP server that the conformance scenarios want, on PORT.

It uses the low-level server of the `mcp` package: how the protocol is spoken is that package's, not ours.
"""

import asyncio
import sys
import warnings
from typing import Any

import uvicorn
from answers import PLAIN, PROMPTS, RESOURCES, SAID, SCHEMAS, TEMPLATE, prompt, read, text
from inputs import ASKED, FORMS, PREFIX, ask, form, sample
from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

warnings.simplefilter("ignore")
MISSING_CAPABILITY = -32021
PAUSE_SECONDS = 0.05
LOGGED = ("Tool execution started", "Tool processing data", "Tool execution completed")
bus = InMemorySubscriptionBus()
CHANGES = {
    "test_trigger_tool_change": ToolsListChanged,
    "test_trigger_prompt_change": PromptsListChanged,
}


class Events(EventStore):
    """Every event since the start."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.kept.append((stream_id, message))
        return str(len(self.kept) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        stream, _ = self.kept[int(last_event_id)]
        for number, (of, message) in enumerate(self.kept):
            if number > int(last_event_id) and of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def logs(context: Any, _: Any) -> str:
    for words in LOGGED:
        await context.session.send_log_message("info", words, related_request_id=context.request_id)
        await asyncio.sleep(PAUSE_SECONDS)
    return "Logged."


async def progresses(context: Any, _: Any) -> str:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100)
        await asyncio.sleep(PAUSE_SECONDS)
    return "Progressed."


async def changes(_: Any, params: Any) -> str:
    await bus.publish(CHANGES[params.name]())
    return "Changed."


async def fails(_: Any, __: Any) -> str:
    raise ValueError("This tool intentionally returns an error for testing")


async def reconnects(context: Any, _: Any) -> str:
    if context.close_sse_stream is not None:
        await context.close_sse_stream()
        await asyncio.sleep(PAUSE_SECONDS)
    return "Reconnected."


async def answers_anything(_: Any, params: Any) -> str:
    return f"{params.name} was called"


async def samples(context: Any, params: Any) -> str:
    related = ServerMessageMetadata(related_request_id=context.request_id)
    request = sample(params.arguments["prompt"])
    said = await context.session.send_request(request, types.CreateMessageResult, metadata=related)
    return f"LLM response: {said.content.text}"


async def elicits(context: Any, params: Any) -> str:
    related = ServerMessageMetadata(related_request_id=context.request_id)
    message = (params.arguments or {}).get("message", "Please answer")
    request = form(message, FORMS[params.name])
    said = await context.session.send_request(request, types.ElicitResult, metadata=related)
    return f"Elicitation completed: action={said.action}, content={said.content}"


ACTS = {
    "test_tool_with_logging": logs,
    "test_logging_tool": logs,
    "test_tool_with_progress": progresses,
    "test_error_handling": fails,
    "test_reconnection": reconnects,
    "test_sampling": samples,
    "json_schema_2020_12_tool": answers_anything,
    "test_custom_headers": answers_anything,
    **dict.fromkeys(CHANGES, changes),
    **dict.fromkeys(FORMS, elicits),
}
INPUTS = [f"{PREFIX}{name}" for name in ASKED if name != "prompt"]
HINTS = dict.fromkeys(
    ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"),
    CacheHint(ttl_ms=1000),
)


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    names = [*SAID, *ACTS, *INPUTS]
    tools = [
        types.Tool(name=name, description=f"Tool {name}", input_schema=SCHEMAS.get(name, PLAIN))
        for name in names
    ]
    return types.ListToolsResult(tools=tools)


async def call_tool(context: Any, params: Any) -> types.CallToolResult | types.InputRequiredResult:
    if params.name in SAID:
        able = context.session.client_capabilities
        if params.name == "test_missing_capability" and getattr(able, "sampling", None) is None:
            needed = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(MISSING_CAPABILITY, "The client can not sample", needed)
        return types.CallToolResult(content=SAID[params.name])
    if params.name in INPUTS:
        asked = ask(params.name, params, context.session.client_capabilities)
        if isinstance(asked, types.InputRequiredResult):
            return asked
        return types.CallToolResult(content=[text(asked)])
    if params.name not in ACTS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    try:
        words = await ACTS[params.name](context, params)
    except ValueError as error:
        return types.CallToolResult(content=[text(str(error))], is_error=True)
    return types.CallToolResult(content=[text(words)])


async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
    listed = [
        types.Resource(uri=uri, name=uri[7:], description=f"Resource {uri}", mime_type=media)
        for uri, (media, _) in RESOURCES.items()
    ]
    return types.ListResourcesResult(resources=listed)


async def list_templates(_: Any, __: Any) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(uri_template=TEMPLATE, name="data", description="By id")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(_: Any, params: Any) -> types.ReadResourceResult:
    contents = read(str(params.uri))
    if contents is None:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": str(params.uri)})
    return types.ReadResourceResult(contents=[contents])


async def list_prompts(_: Any, __: Any) -> types.ListPromptsResult:
    listed = [
        types.Prompt(
            name=name,
            description=f"Prompt {name}",
            arguments=[types.PromptArgument(name=one, required=True) for one in takes],
        )
        for name, takes in PROMPTS.items()
    ]
    return types.ListPromptsResult(prompts=listed)


async def get_prompt(
    context: Any, params: Any
) -> types.GetPromptResult | types.InputRequiredResult:
    if params.name not in PROMPTS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    if params.name.startswith(PREFIX):
        asked = ask(params.name, params, context.session.client_capabilities)
        if isinstance(asked, types.InputRequiredResult):
            return asked
        return types.GetPromptResult(
            messages=[types.PromptMessage(role="user", content=text(asked))]
        )
    return types.GetPromptResult(messages=prompt(params.name, params.arguments or {}))


async def complete(_: Any, params: Any) -> types.CompleteResult:
    found = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
    completion = types.Completion(values=found, total=len(found), has_more=False)
    return types.CompleteResult(completion=completion)


async def nothing(_: Any, __: Any) -> types.EmptyResult:
    return types.EmptyResult()


def main() -> None:
    server: Any = Server(
        "conformance",
        version="1",
        cache_hints=HINTS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
        on_subscriptions_listen=ListenHandler(bus),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=nothing,
    )
    app = server.streamable_http_app(event_store=Events(), retry_interval=100)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")


main()
