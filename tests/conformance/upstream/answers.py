"""What the scenarios expect an MCP server to list, say and show."""

import base64
import struct
import zlib
from typing import Any

from mcp import types


def _png() -> bytes:
    """One red pixel."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(b"\0\xff\0\0"),
        b"IEND": b"",
    }
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _wav() -> bytes:
    """A second of nothing, without its samples."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    return b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + form + b"data" + struct.pack("<I", 0)


PNG = base64.b64encode(_png()).decode()
IMAGE = types.ImageContent(type="image", data=PNG, mime_type="image/png")
AUDIO = types.AudioContent(
    type="audio", data=base64.b64encode(_wav()).decode(), mime_type="audio/wav"
)
FACTS = '{"test":"data","value":123}'


def text(words: str) -> types.TextContent:
    return types.TextContent(type="text", text=words)


def embedded(uri: str, words: str, media: str = "text/plain") -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=media, text=words)
    return types.EmbeddedResource(type="resource", resource=contents)


SAID: dict[str, list[Any]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [AUDIO],
    "test_embedded_resource": [
        embedded("test://embedded-resource", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", FACTS, "application/json"),
    ],
    "test_missing_capability": [text("The client can sample.")],
    "test_streaming_elicitation": [text("Nothing was asked.")],
}
PLAIN = {"type": "object", "properties": {}}
PERSON = {
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}
DRAFT_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", **PERSON}},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def takes(*names: str) -> dict[str, Any]:
    given = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": given, "required": list(names)}


IN_HEADER = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "json_schema_2020_12_tool": DRAFT_2020_12,
    "test_elicitation": takes("message"),
    "test_sampling": takes("prompt"),
    "test_custom_headers": IN_HEADER,
}
RESOURCES = {
    "test://static-text": ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", ""),
    "test://watched-resource": ("text/plain", "Watched."),
}
TEMPLATE = "test://template/{id}/data"
PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


def read(uri: str) -> Any:
    """The contents of a resource; None for one that there is not."""
    if uri == "test://static-binary":
        return types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    before, _, after = TEMPLATE.partition("{id}")
    if uri.startswith(before) and uri.endswith(after):
        name = uri[len(before) : -len(after)]
        words = f'{{"id":"{name}","templateTest":true,"data":"Data for ID: {name}"}}'
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=words)
    if uri in RESOURCES:
        media, words = RESOURCES[uri]
        return types.TextResourceContents(uri=uri, mime_type=media, text=words)
    return None


def prompt(name: str, given: dict[str, str]) -> list[Any]:
    said: dict[str, list[Any]] = {
        "test_simple_prompt": [text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
        ],
        "test_prompt_with_embedded_resource": [
            embedded(given.get("resourceUri", ""), "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": [IMAGE, text("Please analyze the image above.")],
    }
    return [types.PromptMessage(role="user", content=content) for content in said[name]]
