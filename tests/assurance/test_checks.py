"""Every check of the register catches what it is there to catch."""

import ast
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from assurance.checks import NotRunHere, find, proves
from assurance.register import load
from tools.repository import repository_files

ROOT = Path(__file__).parents[2]
CHECKS = sorted({name for area in load() for row in area.control for name in row.checks})

Plant = Callable[[Path], None]


def _plants(check: str, table: str) -> tuple:
    module, _, function = check.partition(".")
    found = getattr(import_module(f"tests.assurance.plants.{module}"), table, {}).get(function, ())
    return found if isinstance(found, tuple) else (found,)


def _cases() -> Iterator[object]:
    for check in CHECKS:
        for plant in _plants(check, "PLANTS"):
            yield pytest.param(check, plant, id=f"{check}-{plant.__name__.strip('_')}")


def _copy(target: Path) -> Path:
    for source in repository_files(ROOT):
        copy = target / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    return target


@cache
def _found_without_plant(check: str) -> frozenset[str]:
    return frozenset(find(check)(ROOT))


@pytest.mark.parametrize(("check", "plant"), list(_cases()))
def test_a_planted_violation_is_caught(check: str, plant: Plant, tmp_path: Path):
    root = _copy(tmp_path / "tree")
    plant(root)
    try:
        found = set(find(check)(root))
    except NotRunHere as reason:
        pytest.skip(str(reason))
    assert found - _found_without_plant(check)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_shown_a_violation_and_says_what_it_proves(check: str):
    assert proves(check)
    elsewhere = _plants(check, "ELSEWHERE")
    assert _plants(check, "PLANTS") or elsewhere
    for test in elsewhere:
        path, _, name = test.partition("::")
        functions = ast.walk(ast.parse((ROOT / path).read_text()))
        assert any(
            isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name
            for one in functions
        )
