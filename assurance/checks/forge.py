"""What only a forge executes: known to its schema, sound to three linters, and made of what runs here."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from assurance.checks import NotRunHere
from assurance.workflow_files import FOLDER, WorkflowFault, workflows
from tools.repository import repository_files

_BIN = Path(sys.executable).parent
_TOOLS = frozenset(
    {
        "cp",
        "curl",
        "diff",
        "docker",
        "echo",
        "gh",
        "make",
        "mkdir",
        "printenv",
        "python3",
        ".venv/bin/python",
    }
)
"""What a script may start: the targets and modules of this tree, and what moves files between jobs."""


def zizmor_finds_nothing(root: Path) -> Sequence[str]:
    """zizmor, offline and pedantic, finds nothing in the workflows and the Dependabot file."""
    command = ["--offline", "--no-progress", "--quiet", "--persona", "pedantic", "--format", "json"]
    ran = subprocess.run(
        [_BIN / "zizmor", *command, root / ".github"], capture_output=True, text=True, check=False
    )
    try:
        findings = json.loads(ran.stdout)
    except ValueError:
        return [f"zizmor did not run: {ran.stderr.strip()[-300:]}"]
    return [f"{one['ident']}: {one['desc']}" for one in findings]


def schemas_hold(root: Path) -> Sequence[str]:
    """The workflows and the Dependabot file are what the forge's schemas admit."""
    wrong = []
    for schema, files in (
        ("vendor.github-workflows", sorted((root / FOLDER).glob("*.y*ml"))),
        ("vendor.dependabot", [root / ".github/dependabot.yml"]),
    ):
        command = [str(_BIN / "check-jsonschema"), "--builtin-schema", schema, "-o", "json"]
        ran = subprocess.run(
            [*command, *map(str, files)], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            wrong += _violations(ran.stdout) or [
                ran.stdout.strip()[-300:] + ran.stderr.strip()[-300:]
            ]
    return wrong


def _violations(output: str) -> list[str]:
    try:
        report = json.loads(output)
    except ValueError:
        return []
    return [
        f"{Path(one['filename']).name}: {one.get('message', one.get('error', ''))}"
        for one in (*report.get("errors", ()), *report.get("parse_errors", ()))
        if isinstance(one, dict)
    ]


def actionlint_finds_nothing(root: Path) -> Sequence[str]:
    """actionlint, built from its locked sources, finds nothing in the workflows."""
    go = shutil.which("go")
    if go is None:
        raise NotRunHere("there is no Go toolchain to build actionlint with")
    tool = [go, "-C", str(root / "tools/actionlint"), "tool", "actionlint", "-no-color"]
    built = subprocess.run([*tool, "-version"], capture_output=True, text=True, check=False)
    if built.returncode:
        raise NotRunHere(f"actionlint can not be built: {built.stderr.strip()[-200:]}")
    files = [str(file) for file in sorted((root / FOLDER).glob("*.y*ml"))]
    ran = subprocess.run(
        [*tool, "-shellcheck", str(_BIN / "shellcheck"), "-format", "{{json .}}", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = json.loads(ran.stdout or "[]")
    return [f"{Path(one['filepath']).name}:{one['line']}: {one['message']}" for one in found]


def scripts_are_sound(root: Path) -> Sequence[str]:
    """shellcheck finds nothing in the scripts of the tree and the workflows, and each failure ends them."""
    wrong = []
    for place, text in _scripts(root):
        ran = subprocess.run(
            [_BIN / "shellcheck", "--severity=style", "--format=gcc", "-"],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        wrong += [f"{place}: {line.removeprefix('-:')}" for line in ran.stdout.splitlines()]
        wrong += [f"shellcheck did not run: {ran.stderr.strip()[-200:]}"] if ran.stderr else []
    return wrong + [
        f"{one.file} has scripts in which a failure before a pipe is lost"
        for one in workflows(root)
        if any(step.run for job in one.jobs.values() for step in job.steps)
        and "\ndefaults:\n  run:\n    shell: bash\n" not in one.text
    ]


def _scripts(root: Path) -> Iterator[tuple[str, str]]:
    for file in repository_files(root):
        with file.open("rb") as opened:
            starts = opened.readline()
        if file.suffix == ".sh" or _SHELL.match(starts):
            yield file.relative_to(root).as_posix(), file.read_text()
    for one in workflows(root):
        for name, job in one.jobs.items():
            for number, step in enumerate(job.steps, 1):
                if step.run:
                    yield f"{one.file}: {name}, step {number}", f"#!/bin/bash\n{step.run}"


_SHELL = re.compile(rb"#!.*\b(ba|da)?sh\b")


def what_it_runs_is_ours(root: Path) -> Sequence[str]:
    """The workflows run targets and modules of this tree, each of which exists, and little besides."""
    makefile = (root / "Makefile").read_text()
    try:
        found = workflows(root)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = []
    for one in found:
        for name, job in one.jobs.items():
            for step in job.steps:
                wrong += [
                    f"{one.file}: {name} {text}" for text in _unknown(step.run, makefile, root)
                ]
    return wrong


def _unknown(script: str, makefile: str, root: Path) -> Iterator[str]:
    for line in script.replace("\\\n", " ").splitlines():
        words = line.split()
        if not words or words[0] in {"while", "done"}:
            continue
        if words[0] not in _TOOLS:
            yield f"runs {words[0]}, which nobody can run here first"
        if words[0] == "make" and not re.search(
            rf"^{re.escape(words[1])}[:\s]", makefile, re.MULTILINE
        ):
            yield f"makes {words[1]}, and there is no such target"
        if "python" in words[0] and not _is_module(words, root):
            yield f"runs {' '.join(words[:3])}, and there is no such module"


def _is_module(words: Sequence[str], root: Path) -> bool:
    return words[1] == "-m" and (root / words[2].replace(".", "/")).with_suffix(".py").is_file()
