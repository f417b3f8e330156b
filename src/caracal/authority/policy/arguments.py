"""The arguments of a call to an MCP server, as policies read them: `context.call.arguments`.

Cedar checks types, and arguments have none of their own: what a policy compares an argument with says
what it takes it for. At a call it is given what it reads and nothing else.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

MAX_TEXT: Final = 4_096
"""Characters of a text that policies read."""
MAX_MEMBERS: Final = 256
"""Of a list that policies read."""
MAX_INTEGER: Final = 2**53 - 1

Path = tuple[str, ...]


class Kind(StrEnum):
    """What a policy takes an argument for, in Cedar's schema language."""

    STRING = "String"
    LONG = "Long"
    BOOLEAN = "Bool"
    STRINGS = "Set<String>"
    LONGS = "Set<Long>"


_SETS: Final = {Kind.STRING: Kind.STRINGS, Kind.LONG: Kind.LONGS}
_MEMBERS: Final = {of: member for member, of in _SETS.items()}
_ARGUMENTS: Final = ("call", "arguments")
_NUMBERS: Final = frozenset({"<", "<=", ">", ">=", "+", "-", "*"})

Reads = Mapping[Path, frozenset[Kind]]
"""What is read, and what it is taken for; the arguments as a whole are the empty path."""


def read_arguments(conditions: list[object]) -> Reads:
    """The arguments that conditions in Cedar's JSON read."""
    found: dict[Path, set[Kind]] = {}
    waiting: list[tuple[object, Kind | None]] = [
        (one.get("body") if isinstance(one, dict) else one, Kind.BOOLEAN) for one in conditions
    ]
    while waiting:
        node, hint = waiting.pop()
        path = _path(node)
        if path is not None:
            kinds = found.setdefault(path, set())
            if hint is not None and not _asks_for_presence(node):
                kinds.add(hint)
            continue
        waiting.extend(_inside(node, hint))
    return {path: frozenset(kinds) for path, kinds in found.items()}


def problem_of(reads: Reads) -> tuple[str, str]:
    """What keeps arguments from being read so, and the word that it is about; empty when nothing does."""
    for path, kinds in sorted(reads.items()):
        name = ".".join(("context", *_ARGUMENTS, *path))
        if not path:
            return "read the arguments one by one: context.call.arguments.<name>", "arguments"
        if not all(step.isprintable() for step in path):
            return f"{name!r} has characters that can not be seen", path[-1]
        if len(kinds) > 1:
            both = " and as ".join(sorted(kinds))
            return f"{name} is taken for more than one type: as {both}", path[-1]
        if kinds and any(other[: len(path)] == path and other != path for other in reads):
            return f"{name} is taken for a record and as {min(kinds)}", path[-1]
    return "", ""


def render_type(reads: Reads) -> str:
    """The type of `call.arguments` in a schema: nothing in it has to be there; empty when none is read."""
    return _render(_tree(reads), reads, ()) if reads else ""


def pick(arguments: str, reads: Iterable[Path]) -> dict[str, Any]:
    """Of arguments in JSON what is read, as Cedar takes it."""
    given = msgspec.json.decode(arguments) if arguments else {}
    return _record(given, _tree(reads))


def _asks_for_presence(node: object) -> bool:
    return isinstance(node, dict) and "has" in node


def _path(node: object) -> Path | None:
    names: list[str] = []
    match node:
        case {"has": {"left": left, "attr": str(name)}}:
            names.append(name)
            node = left
        case _:
            pass
    while True:
        match node:
            case {".": {"left": left, "attr": str(name)}}:
                names.append(name)
                node = left
            case {"Var": "context"} if tuple(reversed(names))[:2] == _ARGUMENTS:
                return tuple(reversed(names))[2:]
            case _:
                return None


def _inside(node: object, hint: Kind | None) -> Iterator[tuple[object, Kind | None]]:
    """What a node is made of, and what each part is taken for."""
    match node:
        case {"==": pair} | {"!=": pair} | {"containsAll": pair} | {"containsAny": pair}:
            yield pair["left"], _kind(pair["right"])
            yield pair["right"], _kind(pair["left"])
        case {"contains": {"left": left, "right": right}}:
            member, of = _kind(right), _kind(left)
            yield left, None if member is None else _SETS.get(member)
            yield right, None if of is None else _MEMBERS.get(of)
        case {"like": {"left": left}}:
            yield left, Kind.STRING
        case {"&&": pair} | {"||": pair}:
            yield from ((part, Kind.BOOLEAN) for part in pair.values())
        case {"!": {"arg": arg}}:
            yield arg, Kind.BOOLEAN
        case {"if-then-else": {"if": test, "then": then, "else": other}}:
            yield from ((test, Kind.BOOLEAN), (then, hint), (other, hint))
        case dict() if not _NUMBERS.isdisjoint(node):
            yield from ((part, Kind.LONG) for pair in node.values() for part in pair.values())
        case dict():
            yield from ((part, None) for part in node.values())
        case list():
            yield from ((part, None) for part in node)
        case _:
            pass


def _kind(node: object) -> Kind | None:
    match node:
        case {"Value": bool()}:
            return Kind.BOOLEAN
        case {"Value": int()}:
            return Kind.LONG
        case {"Value": str()}:
            return Kind.STRING
        case {"Set": [first, *_]}:
            member = _kind(first)
            return None if member is None else _SETS.get(member)
        case _:
            return None


_Tree = dict[str, Any]


def _tree(paths: Iterable[Path]) -> _Tree:
    tree: _Tree = {}
    for path in paths:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


def _render(tree: _Tree, reads: Reads, path: Path) -> str:
    members = []
    for name, inner in sorted(tree.items()):
        here = (*path, name)
        kinds = reads.get(here, frozenset())
        type_ = _render(inner, reads, here) if inner else min(kinds, default=Kind.STRING)
        members.append(f"{json.dumps(name, ensure_ascii=False)}?: {type_}")
    return "{" + ", ".join(members) + "}"


def _record(given: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    return {
        name: _record(value, inner) if inner and isinstance(value, dict) else _value(value)
        for name, inner in tree.items()
        for value in ([given[name]] if name in given else [])
    }


def _value(value: object) -> object:
    if isinstance(value, list):
        if len(value) > MAX_MEMBERS or any(isinstance(one, list) for one in value):
            return _unreadable("list")
        return [_value(one) for one in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    return _unreadable("null" if value is None else type(value).__name__)


def _unreadable(what: str) -> dict[str, dict[str, str]]:
    """Stands for what policies can not read: it is there, equals nothing, and is of no type they know."""
    return {"__entity": {"type": "Unreadable", "id": what}}
