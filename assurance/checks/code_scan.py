"""Static analysis that runs here: bandit, our own semgrep rules, and the strictness of the rest."""

import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import yaml

from assurance.checks import NotRunHere
from assurance.code_scan import (
    LIST,
    RULES,
    Finding,
    Rule,
    ScannerFault,
    ScannerMissing,
    python_files,
    read_list,
    read_rules,
    scan_with_bandit,
    scan_with_semgrep,
    without_paths,
)

_SHORTEST_REASON = 15
_FEWEST_RULES = 12


def bandit_finds_nothing(root: Path) -> Sequence[str]:
    """Bandit with all its tests finds nothing, in the product or the tools, that is not argued."""
    return _judged(root, lambda: scan_with_bandit(root, python_files(root)), _of_bandit)


def own_rules_find_nothing(root: Path) -> Sequence[str]:
    """The project's own semgrep rules find nothing, in the product or the tools, that is not argued."""
    try:
        rules = read_rules(root)
    except (msgspec.ValidationError, yaml.YAMLError) as fault:
        return [f"{RULES}: {fault}"]
    if len(rules) < _FEWEST_RULES:
        return [f"{RULES} holds {len(rules)} rules; there were at least {_FEWEST_RULES}"]
    names = {rule.id for rule in rules}
    return _judged(
        root, lambda: scan_with_semgrep(root, root / RULES, python_files(root)), names.__contains__
    )


def every_rule_catches_its_examples(root: Path) -> Sequence[str]:
    """Each of those rules catches every line of its examples, and none of the lines beside them."""
    try:
        rules = read_rules(root)
        with tempfile.TemporaryDirectory(prefix="caracal-rules-") as folder:
            return list(_of_examples(root, Path(folder), rules))
    except (msgspec.ValidationError, yaml.YAMLError) as fault:
        return [f"{RULES}: {fault}"]
    except ScannerMissing as fault:
        raise NotRunHere(str(fault)) from None
    except ScannerFault as fault:
        return [str(fault)]


def strict_checkers_are_configured(root: Path) -> Sequence[str]:
    """`make check` runs ruff with every rule, those on security without exception, and strict mypy."""
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
    lint, mypy = tools["ruff"]["lint"], tools["mypy"]
    wrong = []
    if lint.get("select") != ["ALL"]:
        wrong.append("ruff does not select all rules")
    ignored = [rule for rule in lint.get("ignore", ()) if re.fullmatch(r"S\d*|ALL", rule)]
    for where, rules in lint.get("per-file-ignores", {}).items():
        if where.startswith(("src", "*")):
            ignored += [rule for rule in rules if re.fullmatch(r"S\d*|ALL", rule)]
    wrong += [f"ruff ignores {rule} in the product" for rule in ignored]
    if mypy.get("strict") is not True or not {"caracal", "caracal_server"} <= set(mypy["packages"]):
        wrong.append("mypy is not strict about the product")
    lax = [one for one in tools["mypy"].get("overrides", ()) if one.keys() - _MAY_BE_OVERRIDDEN]
    wrong += [f"mypy is lax about {one['module']}" for one in lax]
    recipe = re.search(r"(?m)^check:.*\n((?:\t.*\n)+)", (root / "Makefile").read_text())
    for command in ("/ruff check .", "/mypy"):
        if recipe is None or not re.search(rf"(?m){re.escape(command)}$", recipe[1]):
            wrong.append(f"make check does not run {command[1:]}")
    return wrong


_MAY_BE_OVERRIDDEN = {"module", "ignore_missing_imports"}


def _of_bandit(rule: str) -> bool:
    return re.fullmatch(r"B\d{3}", rule) is not None


def _judged(
    root: Path, scan: Callable[[], list[Finding]], is_ours: Callable[[str], bool]
) -> list[str]:
    try:
        known = [entry for entry in read_list(root) if is_ours(entry.rule)]
        found = scan()
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, OSError) as fault:
        return [f"{LIST}: {fault}"]
    except ScannerMissing as fault:
        raise NotRunHere(str(fault)) from None
    except ScannerFault as fault:
        return [str(fault)]
    wrong = [str(one) for one in found if not any(entry.covers(one) for entry in known)]
    left = [entry for entry in known if not any(entry.covers(one) for one in found)]
    wrong += [f"{LIST}: {entry.rule} is not found in {entry.file} any more" for entry in left]
    short = [entry for entry in known if len(entry.reason) < _SHORTEST_REASON]
    return wrong + [f"{LIST}: {entry.rule}, {entry.file}: no reason is given" for entry in short]


def _of_examples(root: Path, folder: Path, rules: Sequence[Rule]) -> Iterator[str]:
    (folder / "rules.yml").write_text(without_paths(root))
    names = set()
    for rule in rules:
        for kind in ("caught", "passes"):
            name = f"{kind}/{rule.id}.py"
            (folder / kind).mkdir(exist_ok=True)
            (folder / name).write_text(getattr(rule.metadata, kind))
            names.add(name)
    found = scan_with_semgrep(folder, folder / "rules.yml", frozenset(names))
    hits = {(one.rule, one.file, one.line) for one in found}
    for rule in rules:
        for kind, expected in (("caught", True), ("passes", False)):
            lines = getattr(rule.metadata, kind).splitlines()
            if not lines:
                yield f"{rule.id} has no example of what it {kind}"
            for number, line in enumerate(lines, start=1):
                if ((rule.id, f"{kind}/{rule.id}.py", number) in hits) != expected:
                    yield f"{rule.id} {'misses' if expected else 'catches'} {line.strip()!r}"
