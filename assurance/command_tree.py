"""The command line as it is in a tree, and the commands that pages show."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

_PROGRAM: Final = "caracal"
_SECONDS: Final = 60
_FENCE: Final = re.compile(r"^\s*```(.*)$")
_SPAN: Final = re.compile(r"`([^`]+)`")
_ANYWHERE: Final = frozenset({"--help", "-h", "--install-completion", "--show-completion"})
_DUMP: Final = """
import json, sys
from caracal_server.cli.program import app
from typer.main import get_command

def options(command):
    names = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return sorted(name for name in names if name[0] == "-")

def walk(command, words):
    found = {" ".join(words): options(command)}
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            found |= walk(command.get_command(None, name), (*words, name))
    return found

json.dump(walk(get_command(app), ()), sys.stdout)
"""

Tree = Mapping[str, frozenset[str]]
"""The options of each command, by its words."""


def command_tree(root: Path) -> Tree:
    """Ask the command line of `root` what it has.

    Raises:
        CalledProcessError: it can not be loaded.
    """
    finished = subprocess.run(
        [sys.executable, "-c", _DUMP],
        capture_output=True,
        check=True,
        timeout=_SECONDS,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
    )
    found = msgspec.json.decode(finished.stdout, type=dict[str, frozenset[str]])
    return {words: frozenset(options) for words, options in found.items()}


def commands(page: str) -> Iterator[str]:
    """Every command of ours that a page shows, in a line of code or in a span."""
    fenced = False
    joined = ""
    for line in page.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced:
            joined += line.strip().removesuffix("\\")
            if not line.rstrip().endswith("\\"):
                yield from _own(joined.removeprefix("$ "))
                joined = ""
        else:
            for span in _SPAN.findall(line):
                yield from _own(span)


def what_is_wrong(command: str, tree: Tree) -> str:
    """Say what the command line does not have, nothing when it has all of it."""
    words = shlex.split(command, comments=True)[1:]
    known: list[str] = []
    for word in words:
        if " ".join((*known, word)) not in tree:
            break
        known.append(word)
    rest = words[len(known) :]
    has_parts = any(other.startswith(" ".join((*known, ""))) for other in tree if known and other)
    if (not known and rest and not rest[0].startswith("-")) or (
        has_parts and rest and not rest[0].startswith("-")
    ):
        return f"`{command}`: there is no such command"
    options = tree[" ".join(known)] | _ANYWHERE
    unknown = [word for word in rest if word.startswith("-") and word.split("=")[0] not in options]
    return f"`{command}`: {' '.join(unknown)}: there is no such option" if unknown else ""


def _own(text: str) -> Iterator[str]:
    command = text.strip()
    if command.partition(" ")[0] == _PROGRAM and " " in command:
        yield command
