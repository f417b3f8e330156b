"""The comparison with the distribution: what counts as behind, and that an apt out of reach clears nothing."""

from pathlib import Path

import pytest

from assurance.checks import NotRunHere, debian
from distribution.debian import DebianLock, Package


def package(name: str, version: str = "1.0-1", sha256: str = "a" * 64) -> Package:
    return Package(name, version, "amd64", sha256, f"pool/{name}.deb")


LOCK = DebianLock("trixie", "amd64", (package("libc6"), package("libssl3t64")))


def test_what_is_offered_as_locked_passes():
    assert list(debian.behind(LOCK, LOCK.package)) == []


@pytest.mark.parametrize(
    ("offered", "named"),
    [
        ((package("libc6"), package("libssl3t64", "1.0-1+deb13u1")), "1.0-1+deb13u1 is offered"),
        ((package("libc6"), package("libssl3t64", sha256="b" * 64)), "another hash"),
        ((package("libc6"),), "libssl3t64 is locked, and nobody asked"),
        ((*LOCK.package, package("zlib1g")), "zlib1g is not locked"),
        ((), "offers nothing"),
    ],
)
def test_a_package_that_is_behind_changed_missing_or_in_excess_is_named(offered, named):
    assert any(named in text for text in debian.behind(LOCK, offered))


def test_an_apt_that_is_not_there_clears_nothing(tmp_path: Path, monkeypatch):
    written = tmp_path / "distribution/debian.lock.toml"
    written.parent.mkdir()
    written.write_text('suite = "trixie"\narchitecture = "amd64"\npackage = []\n')
    monkeypatch.setenv("PATH", str(tmp_path))
    debian._offered.cache_clear()
    with pytest.raises(NotRunHere):
        debian.image_packages_are_current(tmp_path)


def test_a_tree_without_the_lock_fails(tmp_path: Path):
    assert debian.image_packages_are_current(tmp_path)
