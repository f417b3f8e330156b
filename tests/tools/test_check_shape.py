"""Each rule of shape catches what it is there for, and lets the rest pass."""

import subprocess
from pathlib import Path

import pytest

from tools.check_shape import check_shape

PORT = '''\
"""Where sessions are kept."""

from dataclasses import dataclass
from typing import Protocol

LIMIT = 10


class StoreUnavailable(Exception):
    """It cannot be reached."""


@dataclass(frozen=True)
class Stored:
    name: str

    @property
    def label(self) -> str:
        return self.name


class Sessions(Protocol):
    """Durable once it returns."""

    async def load(self, name: str) -> Stored:
        """Load."""
        ...
'''


def plant(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def findings(root: Path) -> list[str]:
    return [str(finding) for finding in check_shape(root)]


def function_of(lines: int) -> str:
    return "def work() -> None:\n" + "    work()\n" * (lines - 1)


def test_a_sound_tree_passes(tmp_path: Path) -> None:
    plant(tmp_path, "src/caracal/one.py", function_of(50) + "\n" * 350)
    plant(tmp_path, "src/caracal/database.py", "class Basement: ...\n")
    plant(tmp_path, "src/caracal_server/ports/sessions.py", PORT)
    plant(tmp_path, "src/caracal/authority/outcomes.py", 'class Reason:\n    A = "a_reason"\n')
    plant(tmp_path, "docs/errors.md", "`a_reason`: explained\n")
    plant(tmp_path, "requirements/dev.txt", "pkg==1 \\\n    --hash=sha256:00\n")
    plant(tmp_path, "data.bin", "\0")

    assert findings(tmp_path) == []


@pytest.mark.parametrize("place", ["src", "tools", "bench", "examples"])
def test_a_module_of_401_lines_is_found(tmp_path: Path, place: str) -> None:
    plant(tmp_path, f"{place}/long.py", "\n" * 401)

    assert findings(tmp_path) == [f"{place}/long.py: 401 lines; a module has at most 400"]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_function_of_51_lines_is_found(tmp_path: Path, prefix: str) -> None:
    plant(tmp_path, "src/caracal/one.py", "\n" + prefix + function_of(51))

    assert findings(tmp_path) == ["src/caracal/one.py:2: work: 51 lines; a function has at most 50"]


@pytest.mark.parametrize(
    "name", ["utils.py", "helpers/one.py", "common.py", "misc.py", "base.py", "session_manager.py"]
)
def test_a_module_name_that_says_nothing_is_found(tmp_path: Path, name: str) -> None:
    plant(tmp_path, f"src/caracal/{name}", "")

    (finding,) = findings(tmp_path)

    assert finding.startswith(f"src/caracal/{name}: ")


@pytest.mark.parametrize("name", ["SessionManager", "BaseStore", "HTTPUtils"])
def test_a_class_name_that_says_nothing_is_found(tmp_path: Path, name: str) -> None:
    plant(tmp_path, "src/caracal/one.py", f"class {name}: ...\n")

    assert findings(tmp_path) == [f"src/caracal/one.py:1: {name}: name what it does"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def load(): ...\n", "a port has no code: only Protocols and values"),
        ("if LIMIT: ...\n", "a port has no code: only Protocols and values"),
        ("class Store: ...\n", "Store is neither a Protocol nor a value"),
        (
            "class Store(Protocol):\n    def load(self): return 1\n",
            "Store.load: a Protocol's method has no body",
        ),
        (
            "@dataclass\nclass Row:\n    def save(self): ...\n",
            "Row.save: a port's value has fields and properties only",
        ),
    ],
)
def test_code_in_a_port_is_found(tmp_path: Path, code: str, message: str) -> None:
    plant(tmp_path, "src/caracal_server/ports/sessions.py", PORT + "\n\n" + code)

    (finding,) = findings(tmp_path)

    assert finding.endswith(message)


def test_a_reason_that_the_page_of_errors_does_not_explain_is_found(tmp_path: Path) -> None:
    code = 'class Reason(StrEnum):\n    A = "known"\n    B = "unknown"\n'
    plant(tmp_path, "src/caracal/authority/outcomes.py", code)
    plant(tmp_path, "docs/errors.md", "`known`, and unknown without a mark\n")

    assert findings(tmp_path) == [
        "src/caracal/authority/outcomes.py:3: unknown is not explained in docs/errors.md"
    ]


def test_reasons_that_went_elsewhere_are_not_silently_skipped(tmp_path: Path) -> None:
    plant(tmp_path, "src/caracal/authority/outcomes.py", "from elsewhere import Reason\n")
    plant(tmp_path, "docs/errors.md", "")

    assert findings(tmp_path) == [
        "src/caracal/authority/outcomes.py: there is no enumeration Reason to document"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://pypi.example.invalid/simple",
        "-i pypi.example.invalid",
        "--trusted-host pypi.example.invalid",
        "--find-links wheels",
        "pkg @ file:wheels/pkg.whl",
        "pkg @ https://example.invalid/pkg.whl",
    ],
)
def test_an_address_in_a_lock_file_is_found(tmp_path: Path, line: str) -> None:
    plant(tmp_path, "requirements/dev.txt", f"pkg==1 \\\n    --hash=sha256:00\n{line}\n")

    assert findings(tmp_path) == ["requirements/dev.txt:3: a lock names no address"]


@pytest.mark.parametrize(
    "parts",
    [("", "work", "x"), ("", "farm", "x"), ("", "root", ".cache"), ("", "home", "ada", "x")],
)
def test_a_path_of_the_machine_it_was_made_on_is_found(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    plant(tmp_path, "notes.md", f"see\n`{'/'.join(parts)}`\n")

    (finding,) = findings(tmp_path)

    assert finding.startswith("notes.md:2: ")
    assert finding.endswith("is a path of some machine")


def test_addresses_and_relative_paths_are_not_taken_for_machine_paths(tmp_path: Path) -> None:
    work = "work/"
    plant(tmp_path, "notes.md", f"https://example.invalid/{work}1 ./{work}2 net{work}3 ~/{work}4\n")

    assert findings(tmp_path) == []


def test_in_a_checkout_ignored_files_do_not_count(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    plant(tmp_path, ".gitignore", "ignored/\n")
    plant(tmp_path, "ignored/notes.md", "/" + "work/x\n")
    plant(tmp_path, "new.md", "/" + "work/x\n")

    assert findings(tmp_path) == ["new.md:1: /" + "work/ is a path of some machine"]
