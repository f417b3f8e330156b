"""Two builds, compared: what differs is named, and what is planted is found."""

import shutil
import subprocess
from pathlib import Path

import pytest

from distribution import rebuild
from distribution.faults import CannotBuild
from distribution.source import committed
from tests.distribution.conftest import ROOT
from tools.repository import repository_files


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose only commit is this tree, small enough to be cloned quickly."""
    folder = tmp_path / "checkout"
    for file in repository_files(ROOT):
        path = file.relative_to(ROOT)
        if path.parts[0] not in {"tests", "bench", "assurance"}:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / path)
    _git(folder.parent, "init", "--quiet", str(folder))
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "all")
    return folder


def test_what_two_builds_do_not_share_is_named(tmp_path: Path):
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, content in ((first, b"abc"), (second, b"abd")):
        folder.mkdir()
        (folder / "same").write_bytes(b"1")
        (folder / "other").write_bytes(content)
    (second / "more").touch()
    found = list(rebuild.compare(first, second))
    assert [one.partition(" ")[0] for one in found] == ["more", "other"]
    assert found[0] == "more was built only once"
    assert found[1].endswith("first at 2")


def test_two_clones_yield_the_same_bytes(checkout: Path, capsys: pytest.CaptureFixture[str]):
    assert rebuild.verify(checkout, ROOT / "build/downloads", ["sdist"]) == 0
    printed = capsys.readouterr().out
    assert "caracal-0.1.0.tar.gz\n" in printed
    assert printed.endswith("two builds, the same bytes\n")


def test_a_planted_time_stamp_makes_the_comparison_fail(
    checkout: Path, capsys: pytest.CaptureFixture[str]
):
    """The clock, read while the package is built, as careless build steps do."""
    hook = "import time\nfrom pathlib import Path\n"
    hook += "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
    hook += "class Hook(BuildHookInterface):\n    def initialize(self, version, build_data):\n"
    hook += "        Path(self.root, 'src/caracal/built.py').write_text(str(time.time_ns()))\n"
    (checkout / "hatch_build.py").write_text(hook)
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text() + "\n[tool.hatch.build.targets.sdist.hooks.custom]\n")
    _git(checkout, "add", "--all")
    _git(checkout, "commit", "--quiet", "--message", "a stamp")
    assert rebuild.verify(checkout, ROOT / "build/downloads", ["sdist"]) == 1
    assert "caracal-0.1.0.tar.gz differs" in capsys.readouterr().out


def test_only_what_is_committed_is_built(checkout: Path):
    (checkout / "src/caracal/later.py").touch()
    with committed(checkout) as source:
        assert not (source.root / "src/caracal/later.py").exists()
        assert (source.root / "src/caracal/py.typed").exists()
        assert len(source.commit) == 40


def test_a_builder_that_is_not_committed_builds_nothing(checkout: Path):
    (checkout / "distribution/later.py").touch()
    with pytest.raises(CannotBuild, match="not committed"), committed(checkout):
        pass


def test_without_a_commit_nothing_is_built(tmp_path: Path):
    with pytest.raises(CannotBuild, match="no git checkout"), committed(tmp_path):
        pass
