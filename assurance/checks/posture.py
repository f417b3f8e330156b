"""What OpenSSF Scorecard looks at, as far as it can be seen in files, and the workflow that asks it."""

import re
from collections.abc import Sequence
from pathlib import Path

from assurance.checks import (
    code_scanning,
    dependency_scans,
    locks,
    release_workflow,
    scanners,
    updates,
    workflows,
)
from assurance.schedules import longest_gap
from assurance.workflow_files import WorkflowFault, workflow
from tools.repository import repository_files

FILE = "scorecard.yml"
_PARSERS = ("authority", "evidence", "release", "tokens", "wire")
"""Where bytes of strangers are read; each has tests that feed it whatever Hypothesis makes up."""
_ANY_INPUT = re.compile(r"\b(?:binary|text)\(|from_regex\(")
_MAGIC = (
    b"\x7fELF",
    b"MZ\x90",
    b"\xca\xfe\xba\xbe",
    b"PK\x03\x04",
    b"\xcf\xfa\xed\xfe",
    b"!<arch>",
    b"\0asm",
)


def licence_and_policy_are_where_forges_look(root: Path) -> Sequence[str]:
    """The licence is a whole, known text, and the security policy says where and how to report."""
    licence = root / "LICENSE"
    policy = root / "SECURITY.md"
    wrong = []
    text = licence.read_text() if licence.exists() else ""
    if "Apache License" not in text or "END OF TERMS AND CONDITIONS" not in text:
        wrong.append("LICENSE is not the whole Apache-2.0 licence")
    said = policy.read_text() if policy.exists() else ""
    wrong += [
        f"SECURITY.md says nothing of {what}"
        for what, word in (
            ("vulnerabilities", "vulnerability"),
            ("a private way to report", "privately"),
            ("the versions that get fixes", "Supported versions"),
        )
        if word not in said
    ]
    return wrong


def no_program_is_committed(root: Path) -> Sequence[str]:
    """The tree holds no compiled program, library or archive, whatever it is called."""
    found = []
    for file in repository_files(root):
        with file.open("rb") as opened:
            start = opened.read(8)
        if start.startswith(_MAGIC) or file.suffix in {".pyc", ".pth", ".so", ".whl"}:
            found.append(f"{file.relative_to(root)} is a program or an archive")
    return found


def what_reads_strangers_bytes_is_fuzzed(root: Path) -> Sequence[str]:
    """Each package that reads what strangers send has property tests over arbitrary text or bytes."""
    return [
        f"tests/{package} feeds its parsers nothing made up"
        for package in _PARSERS
        if not any(
            "hypothesis" in (text := file.read_text()) and _ANY_INPUT.search(text)
            for file in (root / "tests" / package).rglob("test_*.py")
        )
    ]


def what_scorecard_reads_in_files_holds(root: Path) -> Sequence[str]:
    """Scorecard's questions to files hold: pins, rights, workflows, tests, analysis, updates, signing."""
    questions = (
        ("Pinned-Dependencies", workflows.everything_is_pinned),
        ("Pinned-Dependencies", locks.every_entry_is_hashed),
        ("Token-Permissions", workflows.permissions_are_the_least),
        ("Dangerous-Workflow", workflows.no_text_from_outside_reaches_a_shell),
        ("CI-Tests", workflows.what_ci_runs_is_in_the_gate),
        ("SAST", code_scanning.it_runs_on_changes_and_weekly),
        ("Vulnerabilities", dependency_scans.scan_runs_and_fails),
        ("Dependency-Update-Tool", updates.every_ecosystem_is_kept_up_to_date),
        ("Signed-Releases", release_workflow.signing_is_keyless),
        ("Packaging", release_workflow.the_package_is_published_by_trust),
        ("Fuzzing", what_reads_strangers_bytes_is_fuzzed),
        ("Binary-Artifacts", no_program_is_committed),
        ("License and Security-Policy", licence_and_policy_are_where_forges_look),
    )
    return [f"{name}: {text}" for name, check in questions for text in check(root)]


def scorecard_is_asked_weekly(root: Path) -> Sequence[str]:
    """Scorecard runs weekly, publishes what it finds, and shows it in code scanning."""
    try:
        found = workflow(root, FILE)
        held = scanners.scanners_hold_nothing(root)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = [] if longest_gap(found.crons()) <= 7 else [f"{FILE} does not run weekly"]  # noqa: PLR2004 (days)
    steps = [step for _, step in found.using("ossf/scorecard-action")]
    if [step.with_.get("publish_results") for step in steps] != ["true"]:
        wrong.append(f"{FILE} does not publish the results")
    if [step.with_.get("results_format") for step in steps] != ["sarif"] or not list(
        found.using("github/codeql-action/upload-sarif")
    ):
        wrong.append(f"{FILE} does not show the results in code scanning")
    return [*wrong, *(text for text in held if text.startswith(FILE))]
