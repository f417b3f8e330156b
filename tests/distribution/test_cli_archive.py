"""The command line in one file: it unpacks itself once, and holds what it unpacked against its own sums."""

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from distribution import cli_archive, python_package
from distribution.faults import CannotBuild
from distribution.source import as_it_is
from tests.distribution.conftest import ROOT
from tests.distribution.made_up import EPOCH


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("cli")
    with as_it_is(ROOT, EPOCH) as source:
        _, wheel = python_package.build(source, into)
        try:
            return cli_archive.build(source, wheel, ROOT / "build/downloads", into)
        except CannotBuild as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _run(archive: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run with an interpreter that has nothing installed."""
    return subprocess.run(
        [sys.executable, "-S", str(archive), *arguments],
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(cache), "HOME": "/nonexistent"},
        cwd=cache,
        capture_output=True,
        text=True,
        check=False,
    )


def _unpacked(cache: Path) -> Path:
    (folder,) = (cache / "caracal-cli").iterdir()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("version",),
        ("apply", "--help"),
        ("evidence", "verify", "--help"),
        ("release", "verify", "--help"),
        ("explain", "--help"),
    ],
)
def test_it_runs_where_nothing_but_python_is(archive: Path, cache: Path, command: tuple[str, ...]):
    ran = _run(archive, cache, *command)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_its_cache_is_closed_to_others(archive: Path, cache: Path):
    assert _run(archive, cache, "version").returncode == 0
    mode = (cache / "caracal-cli").stat().st_mode
    assert stat.S_IMODE(mode) == 0o700


def test_a_changed_file_in_the_cache_is_replaced_before_it_runs(archive: Path, cache: Path):
    assert _run(archive, cache, "version").returncode == 0
    changed = _unpacked(cache) / "caracal_server/cli/version.py"
    before = changed.read_bytes()
    changed.write_text("raise SystemExit('it was run')\n")
    assert _run(archive, cache, "version").returncode == 0
    assert changed.read_bytes() == before


def test_a_file_that_does_not_belong_to_it_is_removed_before_it_runs(archive: Path, cache: Path):
    assert _run(archive, cache, "version").returncode == 0
    added = _unpacked(cache) / "json.py"
    added.write_text("raise SystemExit('it was run')\n")
    assert _run(archive, cache, "version").returncode == 0
    assert not added.exists()


def test_it_refuses_a_cache_that_others_can_write_to(archive: Path, tmp_path: Path):
    (tmp_path / "caracal-cli").mkdir()
    (tmp_path / "caracal-cli").chmod(0o777)
    refused = _run(archive, tmp_path, "version")
    assert refused.returncode == 2
    assert "others can not write to" in refused.stderr


def test_it_refuses_a_cache_that_is_a_link(archive: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "caracal-cli").symlink_to("elsewhere")
    assert _run(archive, tmp_path, "version").returncode == 2


@pytest.mark.parametrize("command", ["up", "serve", "demo"])
def test_what_serves_is_not_in_it_and_it_says_so(archive: Path, cache: Path, command: str):
    refused = _run(archive, cache, command)
    assert refused.returncode == 2
    assert f"can not run `{command}`" in refused.stderr


def test_an_archive_with_another_wheel_than_it_says_is_refused(archive: Path, tmp_path: Path):
    changed = tmp_path / "changed.pyz"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b" " if "/typer-" in name else b""))
    refused = _run(changed, tmp_path, "version")
    assert refused.returncode == 2
    assert "typer" in refused.stderr
    assert "is damaged" in refused.stderr


def test_an_archive_with_a_flipped_bit_is_refused(archive: Path, tmp_path: Path):
    content = bytearray(archive.read_bytes())
    content[content.index(b"wheels/typer-") + 5000] ^= 1
    damaged = tmp_path / "damaged.pyz"
    damaged.write_bytes(content)
    refused = _run(damaged, tmp_path, "version")
    assert refused.returncode == 2
    assert refused.stderr == "caracal: this archive is damaged\n"
