"""Running bandit, and semgrep with the project's own rules, so that neither can pass by doing nothing."""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import yaml

from tools.repository import repository_files

RULES: Final = Path("assurance/rules")
LIST: Final = Path("assurance/code_findings.toml")
FOLDERS: Final = ("src", "assurance", "tools", "distribution")
SECONDS: Final = 300

Answer = TypeVar("Answer")


class ScannerFault(Exception):
    """A scanner failed, or did not look at what it was given."""


class ScannerMissing(Exception):
    """A scanner is not installed."""


class Finding(msgspec.Struct, frozen=True, order=True):
    """What a scanner holds against a line."""

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one rule may find in one file, or below a pattern of files, and why that is no fault."""

    rule: str
    file: str
    reason: str

    def covers(self, found: Finding) -> bool:
        return found.rule == self.rule and fnmatch(found.file, self.file)


class KnownFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The committed list; a remark in the code is not heard."""

    known: tuple[Known, ...] = ()


class Examples(msgspec.Struct, frozen=True):
    """Lines that a rule must catch, each of them, and lines that it must leave alone."""

    caught: str
    passes: str


class Rule(msgspec.Struct, frozen=True):
    """The part of a semgrep rule that is read here."""

    id: str
    metadata: Examples


class RuleFile(msgspec.Struct, frozen=True):
    rules: tuple[Rule, ...]


class _Place(msgspec.Struct, frozen=True):
    line: int


class _Extra(msgspec.Struct, frozen=True):
    message: str


class _Match(msgspec.Struct, frozen=True):
    check_id: str
    path: str
    start: _Place
    extra: _Extra


class _Paths(msgspec.Struct, frozen=True):
    scanned: tuple[str, ...]


class _Semgrep(msgspec.Struct, frozen=True):
    results: tuple[_Match, ...]
    errors: tuple[object, ...]
    paths: _Paths


class _Issue(msgspec.Struct, frozen=True):
    filename: str
    line_number: int
    test_id: str
    issue_text: str


class _Bandit(msgspec.Struct, frozen=True):
    results: tuple[_Issue, ...]
    errors: tuple[object, ...]
    metrics: dict[str, object]


def read_list(root: Path) -> tuple[Known, ...]:
    """Read the list of a tree.

    Raises:
        msgspec.ValidationError, tomllib.TOMLDecodeError, OSError: it is absent or malformed.
    """
    return msgspec.convert(tomllib.loads((root / LIST).read_text()), KnownFile).known


def read_rules(root: Path) -> tuple[Rule, ...]:
    """Read every rule of a tree with its examples.

    Raises:
        msgspec.ValidationError, yaml.YAMLError: one is malformed or has no examples.
    """
    files = sorted((root / RULES).glob("*.yml"))
    parsed = (msgspec.convert(yaml.safe_load(file.read_text()), RuleFile) for file in files)
    return tuple(rule for file in parsed for rule in file.rules)


def without_paths(root: Path) -> str:
    """Every rule in one document, each for whatever path, so that its examples can stand anywhere."""
    files = sorted((root / RULES).glob("*.yml"))
    rules = [rule for file in files for rule in yaml.safe_load(file.read_text())["rules"]]
    for rule in rules:
        rule.pop("paths", None)
    return yaml.safe_dump({"rules": rules})


def python_files(root: Path) -> frozenset[str]:
    """Every module that the scanners must look at."""
    names = (path.relative_to(root) for path in repository_files(root) if path.suffix == ".py")
    return frozenset(name.as_posix() for name in names if name.parts[0] in FOLDERS)


def scan_with_semgrep(
    root: Path, rules: Path, names: frozenset[str], program: Path | None = None
) -> list[Finding]:
    """Scan modules with the rules; `names` are below `root`.

    Raises:
        ScannerMissing, ScannerFault: nothing can be said.
    """
    program = program or Path(sys.prefix) / "tools/semgrep/bin/semgrep"
    with tempfile.TemporaryDirectory(prefix="caracal-semgrep-") as own:
        # Everything it would write goes to a folder that ends with it; it is told to reach nothing.
        calm = {"SEMGREP_SETTINGS_FILE": f"{own}/settings.yml", "SEMGREP_LOG_FILE": f"{own}/log"}
        options = ["--metrics=off", "--disable-version-check", "--disable-nosem", "--no-git-ignore"]
        printed = _run(
            [str(program), "scan", *options, "--json", "--quiet", "--jobs=2", f"--config={rules}"],
            sorted(names),
            root,
            calm | {"SEMGREP_SEND_METRICS": "off"},
        )
    answer = _decoded(printed, _Semgrep)
    _require_whole("semgrep", answer.errors, names, frozenset(answer.paths.scanned))
    return sorted(
        Finding(one.path, one.start.line, one.check_id.rpartition(".")[2], one.extra.message)
        for one in answer.results
    )


def scan_with_bandit(
    root: Path, names: frozenset[str], program: Path | None = None
) -> list[Finding]:
    """Scan modules with every test of bandit.

    Raises:
        ScannerMissing, ScannerFault: nothing can be said.
    """
    program = program or Path(sys.prefix) / "bin/bandit"
    command = [str(program), "--quiet", "--ignore-nosec", "--format=json"]
    answer = _decoded(_run(command, sorted(names), root, {}), _Bandit)
    seen = frozenset(name.removeprefix("./") for name in answer.metrics)
    _require_whole("bandit", answer.errors, names, seen)
    return sorted(
        Finding(one.filename.removeprefix("./"), one.line_number, one.test_id, one.issue_text)
        for one in answer.results
    )


def _run(
    command: Sequence[str], names: Sequence[str], root: Path, more: Mapping[str, str]
) -> bytes:
    if not names:
        raise ScannerFault("there is nothing to scan")
    if not Path(command[0]).exists():
        raise ScannerMissing(
            f"{Path(command[0]).name} is not installed; make assurance installs it"
        )
    try:
        done = subprocess.run(
            [*command, *names],
            cwd=root,
            env=os.environ | more,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise ScannerFault(f"{Path(command[0]).name} could not be run: {fault}") from None
    if done.returncode not in {0, 1}:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-300:]
        raise ScannerFault(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
    return done.stdout


def _decoded(printed: bytes, shape: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(printed, type=shape)
    except msgspec.DecodeError as fault:
        raise ScannerFault(f"a scanner answered what makes no sense: {fault}") from None


def _require_whole(
    scanner: str, errors: Sequence[object], names: frozenset[str], seen: frozenset[str]
) -> None:
    if errors:
        raise ScannerFault(f"{scanner} could not do all of its work: {str(errors[0])[:300]}")
    if missed := sorted(names - seen):
        raise ScannerFault(f"{scanner} did not look at {missed[0]} and {len(missed) - 1} others")
