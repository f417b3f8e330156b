"""The definitions in an MCP server's answer to `tools/list`, each as the digest of all that it says.

Nothing is left out: descriptions, schemas, annotations, icons and `_meta` all reach the agent or what
shows the tool to a person, so each of them can change what a tool is taken for.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from caracal.authority.tool_pins import MAX_DEFINITION_BYTES, Definition
from caracal.wire.argument_digest import canonical_arguments


def read_definitions(listed: Iterable[Any]) -> tuple[Definition, ...]:
    """The definitions of those entries that have a name; one that is too large has no text.

    Raises:
        ValueError: a name stands twice: readers differ in which of the two they take.
    """
    found: dict[str, Definition] = {}
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            continue
        name = entry["name"]
        if name in found:
            raise ValueError("a tool is listed twice")
        text = canonical_arguments(entry)
        digest = hashlib.sha256(text).hexdigest()
        kept = text.decode() if len(text) <= MAX_DEFINITION_BYTES else ""
        found[name] = Definition(name, digest, kept)
    return tuple(found.values())
