"""Witnesses: whoever holds the database and the log's key is caught when they write another history."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests
from assurance.pytest_runs import failures

_WITNESS: Final = "tests/witness/test_a_witness_signs_one_history.py"
_LOGS: Final = "tests/audit/test_logs_are_witnessed.py"
CONTRADICTIONS: Final = (
    f"{_WITNESS}::test_a_rewritten_log_is_refused_and_the_contradiction_kept",
    f"{_WITNESS}::test_a_log_that_was_rolled_back_is_told_what_was_seen",
    f"{_WITNESS}::test_of_two_histories_that_arrive_together_one_is_signed",
    f"{_WITNESS}::test_nothing_is_signed_that_could_not_be_stored",
    f"{_LOGS}::test_a_database_that_was_rolled_back_is_named_by_a_witness",
    f"{_LOGS}::test_a_finding_turns_readiness_red_whatever_the_mode",
    f"{_LOGS}::test_a_stored_cosignature_that_was_altered_counts_for_nothing",
    f"{_LOGS}::test_where_so_set_nothing_new_is_decided_without_a_quorum",
)
INSIDER: Final = "tests/adversarial/test_t29_witnesses_catch_an_insider.py"
_KEPT: Final = "tests/adversarial/test_t29_rewritten_with_the_logs_key.py"
FROM_OUTSIDE: Final = (
    f"{INSIDER}::test_every_log_is_cosigned_by_a_witness_of_ours_and_one_we_did_not_write",
    f"{INSIDER}::test_a_database_restored_from_before_is_caught",
    f"{INSIDER}::test_a_history_rewritten_and_signed_anew_is_caught_by_whatever_was_kept",
    f"{_KEPT}::test_a_receipt_kept_from_before_contradicts_it",
    "tests/witness/test_outsiders_and_crashes.py",
)


def other_histories_are_refused(root: Path) -> Sequence[str]:
    """Rewritten, forked and shortened logs are not cosigned and turn readiness red, by tests run here."""
    return failures(root, CONTRADICTIONS)


def an_insider_is_caught_from_outside(root: Path) -> Sequence[str]:
    """Tests rewrite a log with its own key, or roll it back, before our witness and a foreign one."""
    return named_tests.missing_or_not_run(root, FROM_OUTSIDE)
