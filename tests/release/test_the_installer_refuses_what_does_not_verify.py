"""`distribution/install.sh` installs what verifies, the very bytes that did, and nothing else."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from caracal_server.release.manifest import Kind
from tests.support.release import PINS, LocalRelease, wheel

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "distribution/install.sh"
VERIFIER = Path(sys.executable).parent / "caracal"


@dataclass(frozen=True)
class Ended:
    code: int
    err: str


def run(arguments: Sequence[object], environment: Path, cwd: Path | None = None) -> Ended:
    done = subprocess.run(
        ["sh", str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=cwd,
        env=os.environ
        | {"PYTHON": sys.executable, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(environment)},
    )
    return Ended(done.returncode, done.stderr)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Where pip finds the locked dependencies."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, version in PINS.items():
        file = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        file.write_bytes(wheel(name, version))
    return folder


def options(release: LocalRelease) -> list[str]:
    chosen = ["--trust-root", str(release.trust_root), "--version", release.version]
    return ["--", *chosen, "--repository", "https://github.com/example/caracal"]


def test_a_release_that_verifies_is_installed_with_its_locked_dependencies(
    release: LocalRelease, wheels: Path, tmp_path: Path
):
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for file in release.dist.iterdir():
            packed.add(file, file.name)
    place = tmp_path / "an environment"
    ended = run(["--verifier", VERIFIER, archive, place, *options(release)], wheels)
    assert (ended.code, ended.err) == (0, "")
    shown = "import caracal, httpx; print(caracal.VERSION, httpx.VERSION)"
    done = subprocess.run(
        [place / "bin/python", "-c", shown], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [release.version, PINS["httpx"]]


def test_a_release_that_does_not_verify_leaves_nothing_behind(
    release: LocalRelease, wheels: Path, tmp_path: Path
):
    file = release.path(Kind.WHEEL)
    file.write_bytes(file.read_bytes() + b" ")
    ended = run(["--verifier", VERIFIER, release.dist, tmp_path / "env", *options(release)], wheels)
    assert ended.code == 1
    assert "nothing was installed" in ended.err
    assert not (tmp_path / "env").exists()


def test_what_can_not_be_checked_is_not_installed(
    release: LocalRelease, wheels: Path, tmp_path: Path
):
    ended = run(["--verifier", VERIFIER, release.dist, tmp_path / "env", "--"], wheels)
    assert ended.code == 1
    assert "not checked: " in ended.err
    assert not (tmp_path / "env").exists()


def test_a_dependency_that_is_not_the_locked_one_is_not_installed(
    release: LocalRelease, wheels: Path, tmp_path: Path
):
    other = wheels / f"httpx-{PINS['httpx']}-py3-none-any.whl"
    other.write_bytes(wheel("httpx", PINS["httpx"]) + b"\0" * 10)
    ended = run(["--verifier", VERIFIER, release.dist, tmp_path / "env", *options(release)], wheels)
    assert ended.code == 1
    assert "nothing is left" in ended.err
    assert not (tmp_path / "env").exists()


def test_nothing_in_the_current_directory_is_run(
    release: LocalRelease, wheels: Path, tmp_path: Path
):
    here = tmp_path / "here"
    here.mkdir()
    for name in ("tarfile", "json", "venv", "pip"):
        (here / f"{name}.py").write_text("open(__name__ + '.ran', 'w')\nraise SystemExit(3)\n")
    archive = tmp_path / "release.tar"
    with tarfile.open(archive, "w") as packed:
        for file in release.dist.iterdir():
            packed.add(file, file.name)
    ended = run(
        ["--verifier", VERIFIER, archive, tmp_path / "env", *options(release)], wheels, here
    )
    assert sorted(here.glob("*.ran")) == []
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("option", ["--help", "--no-json"])
def test_an_option_that_keeps_the_verifier_from_saying_verified_installs_nothing(
    release: LocalRelease, wheels: Path, tmp_path: Path, option: str
):
    words = [*options(release), option]
    ended = run(["--verifier", VERIFIER, release.dist, tmp_path / "env", *words], wheels)
    assert ended.code == 1
    assert "nothing was installed" in ended.err
    assert not (tmp_path / "env").exists()


def test_the_verifier_may_not_come_from_the_release(
    release: LocalRelease, wheels: Path, tmp_path: Path
):
    own = release.path(Kind.CLI)
    ended = run(["--verifier", own, release.dist, tmp_path / "env", *options(release)], wheels)
    assert ended.code == 2
    assert "must not come from the release" in ended.err


@pytest.mark.parametrize("without", ["verifier", "release", "dashes"])
def test_without_all_it_needs_it_does_nothing(
    release: LocalRelease, wheels: Path, tmp_path: Path, without: str
):
    given = {
        "verifier": ["--verifier", VERIFIER],
        "release": [release.dist, tmp_path / "env"],
        "dashes": options(release),
    }
    kept = [word for name, words in given.items() if name != without for word in words]
    ended = run(kept, wheels)
    assert ended.code == 2
    assert not (tmp_path / "env").exists()


def test_the_script_is_clean_and_fetches_nothing():
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run(
        [shellcheck, "--shell=sh", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert not {"curl", "wget"} & set(SCRIPT.read_text().split())
