"""The suite's runner fails when a test fails or a gate is missed, and ends with pytest's last line."""

import re
from pathlib import Path

import pytest

from tools.run_tests import run_tests

CONFIGURATION = """\
[tool.pytest.ini_options]
pythonpath = ["src"]
addopts = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:hypothesispytest"]
[tool.coverage.run]
branch = true
parallel = true
patch = ["subprocess"]
source_pkgs = ["caracal", "caracal_server"]
"""
DECIDE = "def decide(ask):\n    if ask:\n        return 'yes'\n    return 'no'\n"
BOTH_WAYS = "    assert decide(True) == 'yes'\n    assert decide(False) == 'no'\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("src/caracal/authority", "src/caracal_server", "tests"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "src/caracal/__init__.py").touch()
    (tmp_path / "src/caracal/authority/__init__.py").write_text(DECIDE)
    (tmp_path / "src/caracal_server/__init__.py").write_text(DECIDE)
    (tmp_path / "pyproject.toml").write_text(CONFIGURATION)
    return tmp_path


def write_test(project: Path, *, of_the_core: str, of_the_server: str) -> None:
    (project / "tests/test_decide.py").write_text(
        "import caracal.authority, caracal_server\n"
        f"def test_core(decide=caracal.authority.decide):\n{of_the_core}"
        f"def test_server(decide=caracal_server.decide):\n{of_the_server}"
    )


def test_a_fully_covered_suite_passes(project: Path, capfd) -> None:
    write_test(project, of_the_core=BOTH_WAYS, of_the_server=BOTH_WAYS)

    assert run_tests([], root=project, processes=1) == 0
    assert re.fullmatch(r"=+ 2 passed in [0-9.]+s =+", capfd.readouterr().out.splitlines()[-1])


def test_an_uncovered_branch_of_the_core_misses_the_gate(project: Path, capfd) -> None:
    write_test(project, of_the_core="    decide(True)\n", of_the_server=BOTH_WAYS)

    assert run_tests([], root=project, processes=1) == 1
    *said, closing = capfd.readouterr().out.splitlines()
    assert "coverage gate missed: the pure packages" in said
    assert "coverage gate missed: everything else" not in said
    assert " 2 passed in " in closing


def test_too_little_coverage_of_the_server_misses_the_gate(project: Path, capfd) -> None:
    write_test(project, of_the_core=BOTH_WAYS, of_the_server="    decide(True)\n")

    assert run_tests([], root=project, processes=1) == 1
    said = capfd.readouterr().out.splitlines()
    assert "coverage gate missed: everything else" in said
    assert "coverage gate missed: the pure packages" not in said


def test_a_failing_test_fails_and_pytest_has_the_last_word(project: Path, capfd) -> None:
    write_test(project, of_the_core="    assert decide(True) == 'no'\n", of_the_server=BOTH_WAYS)

    assert run_tests([], root=project, processes=1) == 1
    *said, closing = capfd.readouterr().out.splitlines()
    assert "tests failed, so no gate is judged" in said
    assert re.fullmatch(r"=+ 1 failed, 1 passed in [0-9.]+s =+", closing)


def test_with_arguments_no_gate_is_judged_and_the_output_says_so(project: Path, capfd) -> None:
    write_test(project, of_the_core="    decide(True)\n", of_the_server=BOTH_WAYS)

    assert run_tests(["-k", "core"], root=project) == 0
    first, *_, closing = capfd.readouterr().out.splitlines()
    assert first == "arguments given: running without coverage, so no gate is judged"
    assert " 1 passed, 1 deselected in " in closing
