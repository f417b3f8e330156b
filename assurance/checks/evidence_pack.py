"""The evidence pack: its OSCAL document and the tests that its statements rest on."""

import ast
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance.checks import NotRunHere
from assurance.pytest_runs import failures

STATEMENTS: Final = Path("src/caracal_server/evidence_pack/statements.toml")
_RENDER: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from caracal_server.evidence_pack import oscal
from caracal_server.evidence_pack.questions import Answer, Period
from caracal_server.evidence_pack.statements import Query, load_statements
answers = [Answer(query, 3, 1, (2,)) for query in Query]
sys.stdout.buffer.write(oscal.render(load_statements(), answers, Period(0, 1), "0" * 64))
"""
_READ: Final = """
import sys
from pathlib import Path
from trestle.oscal.assessment_results import AssessmentResults
found = AssessmentResults.oscal_read(Path(sys.argv[1]))
print(len(found.results[0].findings))
"""


def oscal_is_valid(root: Path) -> Sequence[str]:
    """An independent OSCAL library reads the assessment results, every finding of them."""
    trestle = Path(sys.prefix) / "tools" / "trestle" / "bin" / "python"
    if not trestle.exists():
        raise NotRunHere("compliance-trestle is not installed: make assurance")
    rendered = _run([sys.executable, "-c", _RENDER, str(root / "src")])
    if rendered.returncode:
        return [f"no document could be rendered: {rendered.stderr.decode()[-300:]}"]
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "assessment-results.json"
        document.write_bytes(rendered.stdout)
        read = _run([str(trestle), "-c", _READ, str(document)])
    if read.returncode:
        return [f"the library does not accept it: {read.stderr.decode()[-300:]}"]
    findings = json.loads(rendered.stdout)["assessment-results"]["results"][0]["findings"]
    if not findings or int(read.stdout) != len(findings):
        return ["the library read another number of findings than were written"]
    return []


def packs_are_verified(root: Path) -> Sequence[str]:
    """Packs that were tampered with, forged or made of less are refused, by tests that are run here."""
    return failures(root, ["tests/evidence_pack"])


def statements_rest_on_tests_that_exist(root: Path) -> Sequence[str]:
    """Every test that a statement names is in the tree, and every statement names a query or a test."""

    wrong = []
    for statement in tomllib.loads((root / STATEMENTS).read_text())["statement"]:
        named = statement.get("tests", [])
        if not named and not statement.get("queries"):
            wrong.append(f"{statement['id']} rests on nothing")
        for test in named:
            path, _, name = test.partition("::")
            if not (root / path).is_file() or name not in _functions(root / path):
                wrong.append(f"{statement['id']} names {test}, which does not exist")
    return wrong


def _functions(file: Path) -> set[str]:
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {one.name for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, found)}


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, timeout=120)
