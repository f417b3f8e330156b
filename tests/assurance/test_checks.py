"""Every check of the register catches what it is there to catch."""

import ast
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from assurance import baseline
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


class Tree:
    """A copy of the repository, made once, and made whole again after each violation."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for source in repository_files(ROOT):
            self._take(source.relative_to(ROOT))
        self._whole = self._states()

    def restore(self) -> None:
        found = self._states()
        for name in sorted(found.keys() - self._whole.keys(), reverse=True):
            path = self.root / name
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, state in self._whole.items():
            if state and found.get(name) != state:
                self._take(Path(name))
        self._whole = self._states()

    def _take(self, name: Path) -> None:
        copy = self.root / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        shutil.copy2(ROOT / name, copy)

    def _states(self) -> dict[str, tuple[int, ...]]:
        """Each path with what changes when a file is written to or replaced; nothing for a folder."""
        found: dict[str, tuple[int, ...]] = {}
        for folder, folders, names in os.walk(self.root):
            for name in (*folders, *names):
                path = Path(folder, name)
                one = path.lstat()
                state = (
                    () if stat.S_ISDIR(one.st_mode) else (one.st_ino, one.st_ctime_ns, one.st_mode)
                )
                found[path.relative_to(self.root).as_posix()] = state
        return found


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


@cache
def _kept() -> dict[str, tuple[str, ...]]:
    return baseline.kept(ROOT)


@cache
def _found_without_plant(check: str) -> frozenset[str]:
    kept = _kept().get(check)
    return frozenset(find(check)(ROOT) if kept is None else kept)


@pytest.mark.parametrize(("check", "plant"), list(_cases()))
def test_a_planted_violation_is_caught(check: str, plant: Plant, tree: Tree):
    try:
        plant(tree.root)
        found = set(find(check)(tree.root))
    except NotRunHere as reason:
        pytest.skip(str(reason))
    finally:
        tree.restore()
    assert found - _found_without_plant(check)


def test_no_violation_outlives_its_test(tmp_path: Path):
    tree = Tree(tmp_path)
    whole = {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    (tmp_path / "README.md").write_text("changed")
    (tmp_path / "LICENSE").unlink()
    (tmp_path / "Makefile").chmod(0o700)
    (tmp_path / "added/deep").mkdir(parents=True)
    (tmp_path / "added/deep/file.py").write_text("")
    (tmp_path / "added/link").symlink_to(tmp_path)
    shutil.rmtree(tmp_path / "docs")
    tree.restore()
    assert {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")} == whole
    assert (tmp_path / "Makefile").stat().st_mode == (ROOT / "Makefile").stat().st_mode


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
