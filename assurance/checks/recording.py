"""Evidence before effect: what can not be recorded does not happen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests
from assurance.pytest_runs import failures

_SEQUENCED: Final = "tests/audit/test_evidence_is_sequenced.py"
_CALLS: Final = "tests/gateway/test_faults_end_in_a_refusal.py"
REFUSED: Final = (
    f"{_SEQUENCED}::test_a_failed_commit_refuses_every_caller_and_the_log_goes_on_whole",
    f"{_CALLS}::test_a_decision_that_can_not_be_recorded_lets_nothing_pass",
    "tests/sts/test_exchanges_are_answered.py::test_a_decision_that_can_not_be_recorded_signs_nothing",
    "tests/coordinator/test_what_fails_leaves_no_authority.py::test_a_start_that_fails_leaves_no_session",
    "tests/control/test_zones_are_applied.py::test_an_act_is_recorded_before_it_happens",
)
_FULL: Final = "tests/adversarial/test_t11_evidence_can_not_be_written.py"
_FAULTS: Final = "tests/adversarial/test_stores_that_fail.py"
FROM_OUTSIDE: Final = (
    f"{_FULL}::test_nothing_is_decided_started_or_forwarded_until_it_is_back",
    f"{_FULL}::test_a_kill_counts_though_it_can_not_be_stored",
    f"{_FULL}::test_a_database_server_that_drops_us_ends_everything_until_it_has_us_back",
    f"{_FAULTS}::test_a_disk_that_fails_in_any_way_ends_in_503_and_loses_nothing",
    f"{_FAULTS}::test_a_database_server_that_dies_hangs_or_loses_answers_ends_in_503_and_loses_nothing",
    "tests/adversarial/test_sudden_death.py",
    "tests/contracts/test_evidence_survives_a_kill.py",
)


def what_can_not_be_recorded_does_not_happen(root: Path) -> Sequence[str]:
    """Where recording fails, before or after storing, every service refuses, by tests run here."""
    return failures(root, REFUSED)


def stores_fail_in_every_way(root: Path) -> Sequence[str]:
    """Tests take disk, database and process from under a server: 503, no effect, no entry lost."""
    return named_tests.missing_or_not_run(root, FROM_OUTSIDE)
