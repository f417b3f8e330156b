"""Tests that a check names are run in the tree given, and what failed is told without the tree's name."""

from pathlib import Path

from assurance.pytest_runs import failures


def test_two_trees_that_fail_alike_are_told_alike(tmp_path: Path):
    """Else every planted violation would look caught, by the name of the copy it was planted in."""
    said = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test_none.py").write_text("")
        said.append(failures(tmp_path / name, ["test_none.py"]))
    assert all(said)
    assert not any(name in line for name in ("one", "other") for told in said for line in told)
