"""Retention: entries are dropped only where an export on record covers them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests
from assurance.pytest_runs import failures

_TESTS: Final = "tests/contracts/test_what_was_exported_may_be_dropped.py"
_COPIES: Final = "tests/cli/test_logs_are_copied_and_recomputed.py"
KEPT: Final = (
    f"{_TESTS}::test_what_no_export_covers_stays[sqlite]",
    f"{_TESTS}::test_nothing_is_dropped_that_could_not_be_recorded[sqlite]",
    f"{_TESTS}::test_exports_cover_what_they_reach_without_a_gap",
)
PROVABLE: Final = (
    f"{_TESTS}::test_a_beginning_that_went_without_a_word_is_found",
    f"{_TESTS}::test_a_log_goes_on_without_its_beginning",
    f"{_COPIES}::test_after_a_drop_the_rest_is_recomputed_copied_and_judged",
)


def what_was_not_exported_stays(root: Path) -> Sequence[str]:
    """Nothing is dropped that no export covers, or that no entry says was dropped, by tests run here."""
    return failures(root, KEPT)


def proofs_outlive_a_drop(root: Path) -> Sequence[str]:
    """Tests drop a beginning and make every proof as before; one that went without a word is found."""
    return named_tests.missing_or_not_run(root, PROVABLE)
