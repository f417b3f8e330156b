"""The scanners: what they catch, and that none of them passes without having looked."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assurance.checks import NotRunHere, code_scan
from assurance.code_scan import (
    ScannerFault,
    ScannerMissing,
    read_rules,
    scan_with_bandit,
    scan_with_semgrep,
)

ROOT = Path(__file__).parents[2]
SEMGREP = Path(sys.prefix) / "tools/semgrep/bin/semgrep"
needs_semgrep = pytest.mark.skipif(not SEMGREP.exists(), reason="make assurance installs semgrep")

RULE = """\
rules:
  - id: no-eval
    languages: [python]
    severity: ERROR
    message: found
    pattern: eval($X)
    metadata:
      caught: |
        {caught}
      passes: |
        {passes}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "assurance/rules").mkdir(parents=True)
    (tmp_path / "assurance/code_findings.toml").write_text("")
    (tmp_path / "src/one.py").write_text("one = 1\n")
    return tmp_path


def program(folder: Path, printed: str, code: int = 0) -> Path:
    file = folder / "scanner"
    file.write_text(f"#!{sys.executable}\nprint({printed!r})\nraise SystemExit({code})\n")
    file.chmod(0o755)
    return file


@needs_semgrep
def test_every_rule_reaches_the_product_and_hears_no_remark(tree):
    shutil.copytree(ROOT / "assurance/rules", tree / "assurance/rules", dirs_exist_ok=True)
    place = tree / "src/caracal/tokens"
    place.mkdir(parents=True)
    rules = read_rules(tree)
    for rule in rules:
        caught = rule.metadata.caught.splitlines()
        text = "\n".join(f"{line}  # nosemgrep" for line in caught)
        (place / f"{rule.id.replace('-', '_')}.py").write_text(text + "\n")
    found = code_scan.own_rules_find_nothing(tree)
    missed = [rule.id for rule in rules if not any(f": {rule.id}: " in text for text in found)]
    assert missed == []


@needs_semgrep
@pytest.mark.parametrize(
    ("caught", "passes", "said"),
    [("eval(x)", "eval(y)", "catches 'eval(y)'"), ("run(x)", "run(y)", "misses 'run(x)'")],
)
def test_a_rule_that_misses_its_example_or_catches_too_much_is_named(tree, caught, passes, said):
    (tree / "assurance/rules/one.yml").write_text(RULE.format(caught=caught, passes=passes))
    assert list(code_scan.every_rule_catches_its_examples(tree)) == [f"no-eval {said}"]


@needs_semgrep
def test_a_rule_that_can_not_be_read_is_a_fault(tree):
    rules = tree / "broken.yml"
    rules.write_text("rules:\n  - id: x\n    languages: [python]\n    pattern: 'def ('\n")
    with pytest.raises(ScannerFault):
        scan_with_semgrep(tree, rules, frozenset({"src/one.py"}))


def test_rules_that_are_gone_or_without_examples_do_not_pass(tree):
    assert "holds 0 rules" in code_scan.own_rules_find_nothing(tree)[0]
    (tree / "assurance/rules/one.yml").write_text("rules:\n- id: x\n  pattern: eval(...)\n")
    assert code_scan.own_rules_find_nothing(tree)
    assert code_scan.every_rule_catches_its_examples(tree)


def test_bandit_finds_what_is_planted_and_hears_no_remark(tree):
    (tree / "src/two.py").write_text("import os\nos.system(input())  # nosec\n")
    found = code_scan.bandit_finds_nothing(tree)
    assert any(text.startswith("src/two.py:2: B605: ") for text in found)


def test_what_is_argued_passes_and_what_is_argued_without_need_does_not(tree):
    (tree / "src/two.py").write_text("import os\nos.system(input())\n")
    argued = '[[known]]\nrule = "B605"\nfile = "src/two.py"\nreason = "a shell for a test only"\n'
    (tree / "assurance/code_findings.toml").write_text(argued)
    assert code_scan.bandit_finds_nothing(tree) == []
    (tree / "src/two.py").write_text("two = 2\n")
    assert "not found in src/two.py any more" in code_scan.bandit_finds_nothing(tree)[0]


def test_a_list_without_reasons_or_that_is_gone_does_not_pass(tree):
    (tree / "src/two.py").write_text("import os\nos.system(input())\n")
    file = tree / "assurance/code_findings.toml"
    file.write_text('[[known]]\nrule = "B605"\nfile = "src/*"\nreason = "no"\n')
    assert "no reason is given" in code_scan.bandit_finds_nothing(tree)[0]
    file.unlink()
    assert code_scan.bandit_finds_nothing(tree)


def test_a_tree_with_nothing_to_scan_does_not_pass(tmp_path):
    (tmp_path / "assurance").mkdir()
    (tmp_path / "assurance/code_findings.toml").write_text("")
    assert code_scan.bandit_finds_nothing(tmp_path) == ["there is nothing to scan"]


Scan = Callable[[Path, Path], object]


def bandit(root: Path, scanner: Path) -> object:
    return scan_with_bandit(root, frozenset({"src/one.py"}), scanner)


def semgrep(root: Path, scanner: Path) -> object:
    return scan_with_semgrep(root, root / "assurance/rules", frozenset({"src/one.py"}), scanner)


@pytest.mark.parametrize("scan", [bandit, semgrep])
@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("", 0),
        ("all is well", 0),
        ("{}", 0),
        ("whatever", 2),
        (json.dumps({"results": [], "errors": [], "metrics": {}, "paths": {"scanned": []}}), 0),
        (
            json.dumps(
                {
                    "results": [],
                    "errors": ["one file was too much"],
                    "metrics": {"src/one.py": {}},
                    "paths": {"scanned": ["src/one.py"]},
                }
            ),
            0,
        ),
    ],
    ids=["silent", "chatty", "empty", "failed", "blind", "troubled"],
)
def test_a_scanner_that_says_nothing_or_looks_at_nothing_is_a_fault(
    tree, scan: Scan, printed: str, code: int
):
    with pytest.raises(ScannerFault):
        scan(tree, program(tree, printed, code))


@pytest.mark.parametrize("scan", [bandit, semgrep])
def test_a_scanner_that_is_not_installed_is_told_apart(tree, scan: Scan):
    with pytest.raises(ScannerMissing):
        scan(tree, tree / "nowhere")


def test_a_missing_scanner_is_shown_as_not_run(tree, monkeypatch):
    (tree / "assurance/rules/one.yml").write_text(RULE.format(caught="eval(x)", passes="run(x)"))
    monkeypatch.setattr(sys, "prefix", str(tree))
    for check in (code_scan.bandit_finds_nothing, code_scan.every_rule_catches_its_examples):
        with pytest.raises(NotRunHere):
            check(tree)
