import re
from pathlib import Path

_TESTS = "tests/assurance/test_code_is_scanned.py"


def _edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _select_fewer_rules(root: Path) -> None:
    _edit(root, "pyproject.toml", 'select = ["ALL"]', 'select = ["E", "F"]')


def _ignore_the_security_rules(root: Path) -> None:
    _edit(root, "pyproject.toml", '  "EM", "TRY003"', '  "S", "EM", "TRY003"')


def _ignore_one_of_them_in_the_product(root: Path) -> None:
    _edit(
        root,
        "pyproject.toml",
        '"src/caracal_server/cli/**" = [',
        '"src/**" = ["S608"]\n"src/y" = [',
    )


def _type_less_strictly(root: Path) -> None:
    file = root / "pyproject.toml"
    file.write_text(re.sub(r"(?m)^strict = true$", "strict = false", file.read_text()))


def _excuse_a_package_from_types(root: Path) -> None:
    _edit(
        root,
        "pyproject.toml",
        "[tool.importlinter]",
        '[[tool.mypy.overrides]]\nmodule = "caracal_server.*"\nignore_errors = true\n\n[tool.importlinter]',
    )


def _leave_mypy_out_of_make_check(root: Path) -> None:
    _edit(root, "Makefile", "\t@$(BIN)/mypy\n", "")


def _forgive_what_ruff_finds(root: Path) -> None:
    _edit(root, "Makefile", "\t@$(BIN)/ruff check .\n", "\t@$(BIN)/ruff check . || true\n")


PLANTS = {
    "strict_checkers_are_configured": (
        _select_fewer_rules,
        _ignore_the_security_rules,
        _ignore_one_of_them_in_the_product,
        _type_less_strictly,
        _excuse_a_package_from_types,
        _leave_mypy_out_of_make_check,
        _forgive_what_ruff_finds,
    )
}
# A scan of the whole tree takes many seconds: the violations stand in small trees.
_BLIND = (
    f"{_TESTS}::test_a_scanner_that_says_nothing_or_looks_at_nothing_is_a_fault",
    f"{_TESTS}::test_a_missing_scanner_is_shown_as_not_run",
)
ELSEWHERE = {
    "bandit_finds_nothing": (
        f"{_TESTS}::test_bandit_finds_what_is_planted_and_hears_no_remark",
        f"{_TESTS}::test_a_list_without_reasons_or_that_is_gone_does_not_pass",
        *_BLIND,
    ),
    "own_rules_find_nothing": (
        f"{_TESTS}::test_every_rule_reaches_the_product_and_hears_no_remark",
        f"{_TESTS}::test_rules_that_are_gone_or_without_examples_do_not_pass",
        *_BLIND,
    ),
    "every_rule_catches_its_examples": (
        f"{_TESTS}::test_a_rule_that_misses_its_example_or_catches_too_much_is_named",
        f"{_TESTS}::test_rules_that_are_gone_or_without_examples_do_not_pass",
    ),
}
