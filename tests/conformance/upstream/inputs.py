"""Tools that ask their client something: in a call of their own, or in a result (2026-07-28)."""

import hashlib
import hmac
import secrets
from typing import Any

from mcp import types
from mcp.shared.exceptions import MCPError

KEY = secrets.token_bytes(32)
ONE = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]


def form(message: str, properties: dict[str, Any]) -> types.ElicitRequest:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    params = types.ElicitRequestFormParams(message=message, requested_schema=schema)
    return types.ElicitRequest(params=params)


def sample(words: str, tokens: int = 100) -> types.CreateMessageRequest:
    content = types.TextContent(type="text", text=words)
    message = types.SamplingMessage(role="user", content=content)
    params = types.CreateMessageRequestParams(messages=[message], max_tokens=tokens)
    return types.CreateMessageRequest(params=params)


TEXT = {"type": "string"}
NAME = form("What is your name?", {"name": TEXT})
ROOTS = types.ListRootsRequest()
FORMS: dict[str, dict[str, Any]] = {
    "test_elicitation": {"username": TEXT, "email": TEXT},
    "test_elicitation_sep1034_defaults": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    },
    "test_elicitation_sep1330_enums": {
        "untitledSingle": {"type": "string", "enum": ONE},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {"type": "string", "enum": ONE, "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ONE}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
}
ASKED: dict[str, list[dict[str, Any]]] = {
    "elicitation": [{"user_name": NAME}],
    "sampling": [{"capital_question": sample("What is the capital of France?")}],
    "list_roots": [{"client_roots": ROOTS}],
    "request_state": [{"confirm": form("Please confirm", {"ok": {"type": "boolean"}})}],
    "multiple_inputs": [
        {"user_name": NAME, "greeting": sample("Generate a greeting", 50), "client_roots": ROOTS}
    ],
    "multi_round": [
        {"step1": form("Step 1: What is your name?", {"name": TEXT})},
        {"step2": form("Step 2: What is your favorite color?", {"color": TEXT})},
    ],
    "tampered_state": [{"confirm": form("Please confirm", {"ok": {"type": "boolean"}})}],
    "capabilities": [{"user_name": NAME, "greeting": sample("Generate a greeting", 50)}],
    "prompt": [{"user_context": form("What context should the prompt use?", {"context": TEXT})}],
}
STATELESS = {"elicitation", "sampling", "list_roots", "capabilities", "prompt"}
PREFIX = "test_input_required_result_"
NEEDS = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling"}


def _sealed(name: str, round_: int) -> str:
    said = f"{name}.{round_}"
    return f"{said}.{hmac.new(KEY, said.encode(), hashlib.sha256).hexdigest()}"


def _round(name: str, state: str | None) -> int:
    if state is None:
        return 0
    for number in range(1, len(ASKED[name]) + 1):
        if hmac.compare_digest(state.encode(), _sealed(name, number).encode()):
            return number
    raise MCPError(types.INVALID_PARAMS, "the state is not the server's")


def _asked(name: str, round_: int, capabilities: Any) -> types.InputRequiredResult:
    asked = ASKED[name][round_]
    if name == "capabilities":
        asked = {
            key: request
            for key, request in asked.items()
            if getattr(capabilities, NEEDS[request.method], None) is not None
        }
    state = None if name in STATELESS else _sealed(name, round_ + 1)
    return types.InputRequiredResult(input_requests=asked, request_state=state)


def ask(tool: str, params: Any, capabilities: Any) -> types.InputRequiredResult | str:
    """What a tool or prompt asks next, or the words it answers with."""
    name = tool.removeprefix(PREFIX)
    answers = params.input_responses or {}
    reached = _round(name, params.request_state)
    if name in STATELESS:
        reached = 1 if ASKED[name][0].keys() <= answers.keys() else 0
    elif reached and not ASKED[name][reached - 1].keys() <= answers.keys():
        reached -= 1
    if reached < len(ASKED[name]):
        return _asked(name, reached, capabilities)
    words = [answer.model_dump_json(by_alias=True) for answer in answers.values()]
    return " ".join(["state-ok", *words])
