"""Keys and secrets rotate without downtime: the tests that show it, and the page that says how."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests

TESTS: Final = "tests/scenarios/test_keys_rotate_under_load.py"
PAGE: Final = "docs/security/rotate.md"
ROTATIONS: Final = {
    "test_signing_keys_rotate_and_no_call_fails": (("key", "rotate"),),
    "test_sealing_keys_rotate_and_no_call_fails": (("key", "reseal"),),
    "test_log_keys_rotate_and_no_call_and_no_proof_fails": (
        ("key", "rotate-log"),
        ("key", "retire-log"),
    ),
    "test_application_secrets_rotate_and_no_call_fails": (("application", "renew"),),
    "test_operator_tokens_rotate_and_no_request_of_an_operator_fails": (
        ("operator", "rotate"),
        ("operator", "revoke"),
    ),
}
APART: Final = "tests/apart/test_keys_rotate_apart.py"
ROTATIONS_APART: Final = (
    "test_signing_keys_rotate_and_no_call_fails",
    "test_the_key_of_the_logs_rotates_at_audit_and_no_call_and_no_proof_fails",
    "test_secrets_of_applications_rotate_and_no_call_fails",
    "test_operator_tokens_rotate_and_no_request_of_an_operator_fails",
)
LOAD: Final = Path("tests/support/load.py")
_LOAD: Final = "under_load"
_DEMANDS: Final = ("assert load.faults == []", "assert set(load.statuses) == {200}")


def each_is_rotated_under_load(root: Path) -> Sequence[str]:
    """A test rotates each kind of key and secret by its command while agents work; no call may fail."""
    wrong = []
    for name in ROTATIONS:
        wrong += named_tests.what_is_wrong(root, f"{TESTS}::{name}")
    if wrong:
        return wrong
    functions = {
        node.name: node
        for node in ast.parse((root / TESTS).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    for name, commands in ROTATIONS.items():
        asked = _asked_under_load(functions[name])
        wrong += [
            f"{name} does not run {' '.join(one)} under load"
            for one in commands
            if one not in asked
        ]
    return [*wrong, *_load_is_lenient(root)]


def also_where_services_run_apart(root: Path) -> Sequence[str]:
    """A test rotates under load, over five processes, what the page says rotates there, too."""
    wrong = []
    for name in ROTATIONS_APART:
        wrong += named_tests.what_is_wrong(root, f"{APART}::{name}")
    if wrong:
        return wrong
    for node in ast.parse((root / APART).read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name in ROTATIONS_APART and not _loads(node):
            wrong.append(f"{APART}::{node.name} rotates without a load")
    return [*wrong, *_load_is_lenient(root)]


def _load_is_lenient(root: Path) -> list[str]:
    demanded = {
        ast.unparse(statement)
        for node in ast.parse((root / LOAD).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == _LOAD
        for statement in node.body
    }
    return [f"{LOAD} does not demand: {one}" for one in _DEMANDS if one not in demanded]


def page_names_each_command(root: Path) -> Sequence[str]:
    """The page names the command of each rotation, and what does not rotate."""
    page = (root / PAGE).read_text()
    wrong = [
        f"{PAGE} does not name caracal {' '.join(command)}"
        for commands in ROTATIONS.values()
        for command in commands
        if f"`caracal {' '.join(command)} " not in page
        and f"`caracal {' '.join(command)}`" not in page
    ]
    return (
        wrong
        if "\n## What does not rotate\n" in page
        else [*wrong, f"{PAGE} says nothing of what does not"]
    )


def _asked_under_load(test: ast.FunctionDef) -> set[tuple[str, str]]:
    """The first two words of each command that the body of a load runs."""
    calls = [
        inner for load in _loads(test) for inner in ast.walk(load) if isinstance(inner, ast.Call)
    ]
    return {
        (str(first.value), str(second.value))
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "ask"
        for first, second in [call.args[:2]]
        if isinstance(first, ast.Constant) and isinstance(second, ast.Constant)
    }


def _loads(test: ast.FunctionDef) -> list[ast.With]:
    return [
        node
        for node in ast.walk(test)
        if isinstance(node, ast.With)
        and any(_LOAD in ast.unparse(item.context_expr) for item in node.items)
    ]
