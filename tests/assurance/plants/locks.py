import re
from pathlib import Path


def _drop_the_hashes_of_one_entry(root: Path) -> None:
    file = root / "requirements/server.txt"
    text = file.read_text()
    file.write_text(re.sub(r"(?m)^(anyio==\S+) \\\n(?:    --hash=\S+(?: \\)?\n)+", r"\1\n", text))


def _loosen_one_version(root: Path) -> None:
    file = root / "requirements/tools/semgrep.txt"
    file.write_text(file.read_text().replace("semgrep==", "semgrep>="))


def _name_an_index(root: Path) -> None:
    file = root / "requirements/dev.txt"
    file.write_text("--index-url https://index.invalid/simple\n" + file.read_text())


def _remove_every_lock(root: Path) -> None:
    for file in (root / "requirements").rglob("*.txt"):
        file.unlink()


def _lock_another_version_for_the_tests(root: Path) -> None:
    file = root / "requirements/dev.txt"
    file.write_text(re.sub(r"(?m)^anyio==\S+", "anyio==0.0.1", file.read_text()))


def _declare_what_no_lock_has(root: Path) -> None:
    file = root / "pyproject.toml"
    file.write_text(file.read_text().replace("server = [", 'server = [\n  "leftpad>=1",'))


def _demand_a_later_version(root: Path) -> None:
    file = root / "pyproject.toml"
    file.write_text(file.read_text().replace('"msgspec>=0.20"', '"msgspec>=99"'))


def _lock_for_one_platform_only(root: Path) -> None:
    file = root / "requirements/server.txt"
    text = file.read_text()
    file.write_text(re.sub(r"(?m)^(msgspec==\S+)", r"\1 ; sys_platform == 'linux'", text))


PLANTS = {
    "every_entry_is_hashed": (
        _drop_the_hashes_of_one_entry,
        _loosen_one_version,
        _name_an_index,
        _remove_every_lock,
    ),
    "locks_agree": _lock_another_version_for_the_tests,
    "locks_cover_what_is_declared": (
        _declare_what_no_lock_has,
        _demand_a_later_version,
        _lock_for_one_platform_only,
    ),
}
