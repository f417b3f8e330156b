from pathlib import Path


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def _leave_a_shell_in(root: Path) -> None:
    """It is built without compiled modules, and hardly compressed, to be built quickly."""
    compiling = "extra = compiled(everything, [_LIBRARY, PACKAGES])"
    _edit(root / "distribution/images.py", compiling, "extra: list[Entry] = []")
    _edit(root / "distribution/packed.py", "GZIP_LEVEL = 4", "GZIP_LEVEL = 1")
    kept = '    yield link("usr/lib/ssl/certs", "/etc/ssl/certs")\n'
    shell = '    yield link("usr/bin/sh", "python3.13")\n'
    _edit(root / "distribution/rootfs.py", kept, kept + shell)


def _forget_a_hash(root: Path) -> None:
    file = root / "distribution/debian.lock.toml"
    lines = file.read_text().splitlines()
    lines[next(at for at, line in enumerate(lines) if line.startswith("sha256"))] = 'sha256 = ""'
    file.write_text("\n".join(lines))


def _name_a_mirror(root: Path) -> None:
    _edit(root / "distribution/debian.lock.toml", 'path = "', 'path = "https://mirror.example/')


def _ask_for_any_version(root: Path) -> None:
    file = root / "requirements/image.txt"
    file.write_text(file.read_text() + "something-else>=1\n")


PLANTS = {
    "built_images_are_hardened": _leave_a_shell_in,
    "image_inputs_are_locked": (_forget_a_hash, _name_a_mirror, _ask_for_any_version),
}

ELSEWHERE = {
    "built_images_are_hardened": (
        "tests/distribution/test_hardening.py::test_what_an_image_may_not_hold_is_found",
    ),
    "images_run_confined": (
        "tests/distribution/test_smoke.py::test_an_image_that_runs_as_root_is_found",
        "tests/distribution/test_smoke.py::test_an_image_that_does_not_start_is_found",
    ),
    "built_images_hold_what_is_locked": (
        "tests/distribution/test_images.py::test_what_no_lock_names_is_found_in_an_image",
    ),
}
