import re
from pathlib import Path

_HASH = "0" * 64


def _edit(root: Path, old: str, new: str, name: str = "assurance/licences.toml") -> None:
    file = root / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _no_longer_allow_mit(root: Path) -> None:
    _edit(root, '"MIT", ', "")


def _forget_an_answer(root: Path) -> None:
    _edit(root, 'name = "cedarpy"', 'name = "someone-else"')


def _answer_for_another_text(root: Path) -> None:
    _edit(root, 'name = "cedarpy"\nread = "text:c', 'name = "cedarpy"\nread = "text:d')


def _lock_what_nobody_installed(root: Path) -> None:
    file = root / "requirements/dev.txt"
    file.write_text(file.read_text() + f"leftpad==1.0 \\\n    --hash=sha256:{_HASH}\n")


def _lock_another_version(root: Path) -> None:
    file = root / "requirements/tools/trestle.txt"
    file.write_text(re.sub(r"(?m)^paramiko==\S+", "paramiko==0.0.1", file.read_text()))


def _let_copyleft_out_of_its_environment(root: Path) -> None:
    file = root / "requirements/server.txt"
    file.write_text(file.read_text() + f"paramiko==5.0.0 \\\n    --hash=sha256:{_HASH}\n")


def _except_what_ships(root: Path) -> None:
    file = root / "assurance/licences.toml"
    file.write_text(
        file.read_text() + '\n[[exception]]\nname = "starlette"\nlock = "server"\n'
        'licence = "BSD-3-Clause"\nreason = "somebody was in a hurry"\n'
    )


def _drop_the_exception_of_a_tool(root: Path) -> None:
    _edit(root, 'name = "semgrep"\nlock', 'name = "semgrepp"\nlock')


def _allow_copyleft(root: Path) -> None:
    _edit(root, '"MIT", ', '"MIT", "GPL-3.0-only", ')


def _allow_what_is_no_licence(root: Path) -> None:
    _edit(root, '"MIT", ', '"MIT", "Public-Goodwill", ')


def _call_the_gpl_weak(root: Path) -> None:
    _edit(root, 'weak = ["MPL-2.0"]', 'weak = ["MPL-2.0", "LGPL-3.0-only"]')


def _give_no_reason(root: Path) -> None:
    file = root / "assurance/licences.toml"
    file.write_text(re.sub(r'reason = "a program[^"]*"', 'reason = "because"', file.read_text()))


def _review_with_another_list(root: Path) -> None:
    folder = root / ".github/workflows"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "planted.yml").write_text(
        "jobs:\n  review:\n    steps:\n      - uses: actions/dependency-review-action@abc\n"
        "        with:\n          allow-licenses: MIT, GPL-3.0-only\n"
    )


PLANTS = {
    "every_locked_licence_is_admitted": (
        _no_longer_allow_mit,
        _forget_an_answer,
        _answer_for_another_text,
        _lock_what_nobody_installed,
        _lock_another_version,
        _let_copyleft_out_of_its_environment,
        _except_what_ships,
        _drop_the_exception_of_a_tool,
    ),
    "the_list_is_sound": (
        _allow_copyleft,
        _allow_what_is_no_licence,
        _call_the_gpl_weak,
        _give_no_reason,
    ),
    "the_review_has_the_same_list": _review_with_another_list,
}
