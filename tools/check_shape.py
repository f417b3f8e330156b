"""Check what no linter knows: sizes, names, empty ports, documented reasons, clean text.

Usage: python -m tools.check_shape
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.repository import ROOT, Finding, report, repository_files, text_files

MODULE_LINES = 400
FUNCTION_LINES = 50
CODE = ("src", "assurance", "tools", "bench", "examples")
BANNED = frozenset(
    {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
)
PORTS = Path("src/caracal_server/ports")
REASONS = Path("src/caracal/authority/outcomes.py")
REASONS_PAGE = Path("docs/errors.md")
LOCKS = Path("requirements")

_VALUE_KINDS = frozenset(
    {"Protocol", "Struct", "Enum", "StrEnum", "IntEnum", "NamedTuple", "TypedDict", "Exception"}
)
_CAMEL_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_INDEX_ADDRESS = re.compile(
    r"://|^\s*(?:-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b| @ "
)
_BUILD_PATH = re.compile(r"(?<![\w.~/-])/(?:work|farm|root|home/\w+)/")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_shape(root: Path) -> Iterator[Finding]:
    """Yield every finding of every rule."""
    for path in repository_files(root):
        name = path.relative_to(root)
        if path.suffix != ".py" or name.parts[0] not in CODE:
            continue
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(name))
        yield from check_sizes(str(name), text, tree)
        yield from check_names(name, tree)
        if name.parent == PORTS:
            yield from check_port(str(name), tree)
    yield from check_reasons(root)
    yield from check_locks(root)
    yield from check_build_paths(root)


def check_sizes(name: str, text: str, tree: ast.Module) -> Iterator[Finding]:
    """Hold modules to 400 lines and functions to 50."""
    lines = len(text.splitlines())
    if lines > MODULE_LINES:
        yield Finding(name, 0, f"{lines} lines; a module has at most {MODULE_LINES}")
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                message = f"{node.name}: {lines} lines; a function has at most {FUNCTION_LINES}"
                yield Finding(name, node.lineno, message)


def check_names(name: Path, tree: ast.Module) -> Iterator[Finding]:
    """Refuse modules, packages and classes with a word that says nothing in their name."""
    for part in name.with_suffix("").parts:
        if BANNED & set(part.lower().split("_")):
            yield Finding(str(name), 0, f"{part} is not a name; say what is in it")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            words = {word.lower() for word in _CAMEL_WORD.findall(node.name)}
            if BANNED & words:
                yield Finding(str(name), node.lineno, f"{node.name}: name what it does")


def check_port(name: str, tree: ast.Module) -> Iterator[Finding]:
    """Allow in a port module: imports, constants, Protocols without code, values."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _check_port_class(name, node)
        elif not isinstance(
            node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
        ) and not _is_docstring(node):
            yield Finding(name, node.lineno, "a port has no code: only Protocols and values")


def _check_port_class(name: str, node: ast.ClassDef) -> Iterator[Finding]:
    parents = {_last_name(parent) for parent in node.bases}
    decorators = {_last_name(decorator) for decorator in node.decorator_list}
    is_protocol = "Protocol" in parents
    is_value = "dataclass" in decorators or any(
        parent in _VALUE_KINDS or parent.endswith(("Error", "Unavailable")) for parent in parents
    )
    if not is_protocol and not is_value:
        yield Finding(name, node.lineno, f"{node.name} is neither a Protocol nor a value")
    for member in node.body:
        if not isinstance(member, _Function):
            continue
        if is_protocol and not all(_is_empty(statement) for statement in member.body):
            message = f"{node.name}.{member.name}: a Protocol's method has no body"
            yield Finding(name, member.lineno, message)
        if not is_protocol and not _belongs_to_a_value(member):
            message = f"{node.name}.{member.name}: a port's value has fields and properties only"
            yield Finding(name, member.lineno, message)


def _belongs_to_a_value(function: _Function) -> bool:
    is_dunder = function.name.startswith("__") and function.name.endswith("__")
    return is_dunder or "property" in {_last_name(node) for node in function.decorator_list}


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_empty(node: ast.stmt) -> bool:
    is_ellipsis = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is ...
    )
    return is_ellipsis or _is_docstring(node)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def check_reasons(root: Path) -> Iterator[Finding]:
    """Hold the page of errors to the reasons in the code; nothing to do until both exist."""
    page, code = root / REASONS_PAGE, root / REASONS
    if not page.exists() or not code.exists():
        return
    documented = page.read_text(encoding="utf-8")
    reasons = list(_reasons(ast.parse(code.read_text(encoding="utf-8"))))
    if not reasons:
        yield Finding(str(REASONS), 0, "there is no enumeration Reason to document")
    for line, reason in reasons:
        if f"`{reason}`" not in documented:
            yield Finding(str(REASONS), line, f"{reason} is not explained in {REASONS_PAGE}")


def _reasons(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Reason":
            for member in node.body:
                value = member.value if isinstance(member, ast.Assign) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield member.lineno, value.value


def check_locks(root: Path) -> Iterator[Finding]:
    """Keep index addresses and hosts out of the lock files: each machine has its own."""
    for path in sorted((root / LOCKS).glob("*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if _INDEX_ADDRESS.search(line):
                yield Finding(str(path.relative_to(root)), number, "a lock names no address")


def check_build_paths(root: Path) -> Iterator[Finding]:
    """Keep paths of the machine that a file was made on out of it."""
    for path, text in text_files(root):
        for number, line in enumerate(text.splitlines(), start=1):
            if found := _BUILD_PATH.search(line):
                message = f"{found[0]} is a path of some machine"
                yield Finding(str(path.relative_to(root)), number, message)


if __name__ == "__main__":
    sys.exit(report(check_shape(ROOT), checked="shape"))
