"""Imports: whatever a module does besides defining is seen, in small trees with one such module each."""

from pathlib import Path

import pytest

from assurance.checks.installation import importing_does_nothing


def tree(root: Path, code: str) -> Path:
    for package in ("caracal", "caracal_server"):
        (root / "src" / package).mkdir(parents=True)
        (root / "src" / package / "__init__.py").write_text("")
    (root / "src/caracal/one.py").write_text(code)
    return root


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("open('written', 'w').close()", "open"),
        ("import os; os.open('written', os.O_CREAT | os.O_WRONLY)", "open"),
        ("from pathlib import Path; Path('written').write_text('x')", "open"),
        ("import socket; socket.socket()", "socket.__new__"),
        ("import socket; socket.getaddrinfo('127.0.0.1', 80)", "socket.getaddrinfo"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import os; os.system('true')", "os.system"),
        ("import os; os.mkdir('made')", "os.mkdir"),
        ("import tempfile; tempfile.mkdtemp()", "tempfile.mkdtemp"),
    ],
)
def test_what_a_module_does_when_it_is_imported_is_seen(tmp_path, monkeypatch, code, named):
    monkeypatch.chdir(tmp_path)
    found = importing_does_nothing(tree(tmp_path, code))
    assert any(text.startswith(f"caracal.one does {named} ") for text in found)


def test_a_module_that_only_defines_and_reads_passes(tmp_path):
    code = "import json, os\nwith open(os.devnull) as empty:\n    value = empty.read()\n"
    assert importing_does_nothing(tree(tmp_path, code)) == []


def test_modules_that_are_not_imported_from_the_tree_do_not_pass(tmp_path):
    root = tree(tmp_path, "raise SystemExit(0)")
    assert "not all was imported" in importing_does_nothing(root)[0]
    (root / "src/caracal/one.py").write_text("import nowhere_to_be_found")
    assert "can not be imported" in importing_does_nothing(root)[0]


def test_a_tree_without_modules_does_not_pass(tmp_path):
    assert importing_does_nothing(tmp_path)
