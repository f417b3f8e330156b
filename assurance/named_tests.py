"""Tests that pages and rows name: whether they exist, and whether anything keeps them from running."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_NOT_RUN: Final = frozenset({"skip", "xfail", "importorskip"})
"""`skipif` is left out: what is skipped on one machine only runs on the others."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def missing_or_not_run(root: Path, named: Iterable[str]) -> list[str]:
    """Say what is wrong with any of these tests."""
    return [wrong for one in named for wrong in what_is_wrong(root, one)]


def what_is_wrong(root: Path, named: str) -> list[str]:
    """Say what is wrong with `tests/file.py` or `tests/file.py::test_name`, nothing when it runs."""
    path, _, name = named.partition("::")
    file = root / path
    if not (path.startswith("tests/") and file.is_file()):
        return [f"{named}: there is no such test file"]
    tree = ast.parse(file.read_text())
    found = [one for one in _functions(tree) if one.name.startswith("test_")]
    wanted = [one for one in found if name in {"", one.name}]
    if not wanted:
        return [f"{named}: there is no such test"]
    wrong = [f"{path}: the whole file is skipped" for _ in _module_skips(tree)]
    for test in wanted:
        marks = {mark for decorator in test.decorator_list for mark in _names(decorator)}
        calls = {mark for statement in test.body for mark in _called(statement)}
        if (marks | calls) & _NOT_RUN:
            wrong.append(f"{path}::{test.name} is skipped, or expected to fail")
        elif not _can_fail(test):
            wrong.append(f"{path}::{test.name} can not fail")
    return wrong


def _functions(tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _module_skips(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and "pytestmark" in ast.dump(statement):
            yield from set(_names(statement.value)) & _NOT_RUN
        for inner in ast.walk(statement) if isinstance(statement, ast.If) else (statement,):
            yield from set(_called(inner)) & _NOT_RUN


def _names(node: ast.AST) -> Iterator[str]:
    """Names and attributes of an expression, such as `skip` of `pytest.mark.skip(...)`."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            yield inner.attr


def _called(node: ast.AST) -> Iterator[str]:
    """What a statement calls of pytest. In a test's condition it is like `skipif`, and left out."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _names(node.value.func)


def _can_fail(test: Function) -> bool:
    """Whether it asserts, expects an error, or calls something that does."""
    return any(isinstance(node, ast.Assert | ast.Call) for node in ast.walk(test))
