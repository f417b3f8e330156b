"""YAML as plain data that remembers its lines: no aliases, no tags, no repeated keys, no surprises."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from caracal_server.control.document_faults import Fault, Path

MAX_DEPTH: Final = 20

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Marked:
    """Data of str, int, bool, list and dict, and the line that each part begins on."""

    data: object
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of a part; of what would hold it, when it is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class YamlUnreadable(ValueError):
    """The text is not YAML, or of a kind that is not read; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column
        self.message = message


class YamlFaulty(ValueError):
    """Single values that will not do; every one of them, with its line."""

    def __init__(self, faults: tuple[tuple[int, Fault], ...]) -> None:
        super().__init__("; ".join(f"line {line}: {fault}" for line, fault in faults))
        self.faults = faults


def read_yaml(text: str) -> Marked:
    """Read one YAML document.

    Raises:
        YamlUnreadable: it is not YAML, holds an alias or several documents, or nests too deeply.
        YamlFaulty: keys are repeated, or values are empty, tagged or not plain.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as fault:
        raise _unreadable(fault) from None
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise YamlUnreadable(line, 1, "a character that YAML does not allow") from None
    if root is None:
        raise YamlUnreadable(1, 1, "there is nothing in it")
    reading = _Reading()
    data = reading.take(root, ())
    if reading.faults:
        raise YamlFaulty(tuple(reading.faults))
    return Marked(data, reading.lines)


def _unreadable(fault: yaml.MarkedYAMLError) -> YamlUnreadable:
    mark = fault.problem_mark or fault.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return YamlUnreadable(line, column, fault.problem or fault.context or "it is not YAML")


def _refused(event: yaml.Event, problem: str) -> YamlUnreadable:
    mark = event.start_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return YamlUnreadable(line, column, problem)


class _Loader(yaml.SafeLoader):
    """Composes nodes and constructs nothing."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, "aliases are not read; write the value out")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refused(event, f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reading:
    """Turns nodes into data and collects what is wrong with them."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.faults: list[tuple[int, Fault]] = []

    def take(self, node: yaml.Node, path: Path) -> object:
        self.lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._take_mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.take(item, (*path, place)) for place, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._take_scalar(node, path)
        self._refuse(node, path, "tags are not read; leave it out")
        return None

    def _take_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        taken: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a field's name is a text")
                continue
            key = str(key_node.value)
            where = (*path, key)
            if key in taken:
                first = self.lines[where]
                self._refuse(key_node, where, f"stands twice; the first is on line {first}")
                continue
            self.lines[where] = _line(key_node)
            taken[key] = self.take(value_node, where)
        return taken

    def _take_scalar(self, node: yaml.ScalarNode, path: Path) -> Hashable:
        text = str(node.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._refuse(node, path, "is not Unicode text")
            return None
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp":
                return text
            case "bool":
                # YAML 1.1 takes yes, no, on and off for booleans too; nobody means that by `no`.
                return text.lower() == "true" if text.lower() in {"true", "false"} else text
            case "int" | "float":
                # No field takes a number, so which one it is does not matter.
                return 0
            case "null":
                self._refuse(node, path, "is empty; give it a value, or leave the field out")
            case _:
                self._refuse(node, path, "tags are not read; leave it out")
        return None

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        self.faults.append((_line(node), Fault(path, message)))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
