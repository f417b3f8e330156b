"""Shards: the zone's own log vouches for those of its shards, as long as each continues."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests
from assurance.pytest_runs import failures

_AUDIT: Final = "tests/audit/test_shards_are_vouched_for.py"
_APART: Final = "tests/apart/test_shards_record_what_audit_vouches_for.py"
VOUCHED: Final = (
    f"{_AUDIT}::test_what_a_shard_signed_is_recorded_once_with_what_it_continues",
    f"{_AUDIT}::test_a_restart_goes_on_from_what_is_on_record",
    f"{_AUDIT}::test_a_shard_with_another_history_is_a_finding_and_not_recorded",
    f"{_AUDIT}::test_a_checkpoint_that_another_key_or_name_signed_is_not_recorded",
)
FROM_OUTSIDE: Final = (
    f"{_APART}::test_a_receipt_of_the_shard_rests_on_a_checkpoint_that_the_zones_log_holds",
    f"{_APART}::test_without_its_shard_nothing_is_called_and_no_story_has_holes",
    f"{_APART}::test_a_shard_whose_history_was_rewritten_under_its_own_key_is_found_by_audit",
)


def only_what_continues_is_vouched_for(root: Path) -> Sequence[str]:
    """A shard's checkpoint is recorded only if it continues the one before, by tests that are run here."""
    return failures(root, VOUCHED)


def rewritten_shards_are_found_from_outside(root: Path) -> Sequence[str]:
    """Tests rewrite a running shard with its own key, and hold its receipts to the zone's log."""
    return named_tests.missing_or_not_run(root, FROM_OUTSIDE)
