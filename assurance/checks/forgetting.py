"""Forgetting: what says who a person was is erased, and every proof holds without it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests
from assurance.pytest_runs import failures

_ERASED: Final = "tests/audit/test_openings_are_erased.py"
_APART: Final = "tests/contracts/test_openings_are_kept_apart.py"
_CLI: Final = "tests/cli/test_people_can_be_forgotten.py"
ERASED: Final = (
    f"{_ERASED}::test_a_person_is_forgotten_and_everything_verifies_as_before",
    f"{_ERASED}::test_one_value_is_redacted_and_what_an_entry_says_itself_is_not",
    f"{_ERASED}::test_what_was_on_record_and_not_done_is_done_by_the_next_process",
    f"{_APART}::test_nothing_of_a_shredded_value_is_left_in_the_file_of_sqlite",
)
FROM_OUTSIDE: Final = (
    f"{_CLI}::test_an_export_names_nobody_unless_what_opens_it_goes_along",
    f"{_CLI}::test_a_forgotten_person_is_gone_and_old_and_new_exports_verify",
    f"{_CLI}::test_one_value_is_redacted_and_a_story_does_not_tell_it",
    f"{_CLI}::test_what_is_old_is_shredded",
)


def proofs_outlive_what_is_forgotten(root: Path) -> Sequence[str]:
    """People and values are erased on record, to the last byte, and exports verify, by tests run here."""
    return failures(root, ERASED)


def commands_forget(root: Path) -> Sequence[str]:
    """Tests forget people, values and what is old by command; exports from before and after verify."""
    return named_tests.missing_or_not_run(root, FROM_OUTSIDE)
