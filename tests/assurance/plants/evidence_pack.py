from pathlib import Path

from assurance.checks.evidence_pack import STATEMENTS


def _replace(root: Path, file: str | Path, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def _a_state_that_oscal_does_not_know(root: Path) -> None:
    _replace(root, "src/caracal_server/evidence_pack/oscal.py", '"not-satisfied"', '"so-so"')


def _a_test_that_is_gone(root: Path) -> None:
    _replace(root, STATEMENTS, "::test_no_grant_can_be_handed_on_whole", "::test_gone")


def _a_file_that_is_gone(root: Path) -> None:
    (root / "tests/scenarios/test_a_kill_is_a_kill.py").unlink()


def _a_statement_on_nothing(root: Path) -> None:
    file = root / STATEMENTS
    file.write_text(f'{file.read_text()}\n[[statement]]\nid = "x"\nframework = "x"\nasks = "x"\n')


def _believe_stated_answers(root: Path) -> None:
    file = "src/caracal_server/evidence_pack/packing.py"
    _replace(root, file, "if found != stated:", "if False:")


def _take_anybodys_log(root: Path) -> None:
    file = "src/caracal_server/evidence_pack/packing.py"
    _replace(root, file, 'if report.checkpoint.origin.rpartition("/")[2] != log:', "if False:")


PLANTS = {
    "packs_are_verified": (_believe_stated_answers, _take_anybodys_log),
    "oscal_is_valid": _a_state_that_oscal_does_not_know,
    "statements_rest_on_tests_that_exist": (
        _a_test_that_is_gone,
        _a_file_that_is_gone,
        _a_statement_on_nothing,
    ),
}
