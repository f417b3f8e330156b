"""Replay: what is on record is what the policy of that day says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from assurance import named_tests
from assurance.pytest_runs import failures

_REPLAY: Final = "tests/authority/policy/test_replay.py"
_CLI: Final = "tests/cli/test_decisions_are_replayed.py"
REPRODUCED: Final = (
    f"{_REPLAY}::test_the_policy_that_decided_reproduces_every_decision",
    f"{_REPLAY}::test_what_the_record_does_not_say_is_named_and_not_guessed",
    f"{_REPLAY}::test_the_first_difference_says_what_is_recorded_and_what_is_said_now",
)
FROM_OUTSIDE: Final = (
    f"{_CLI}::test_the_versions_that_decided_reproduce_every_decision",
    f"{_CLI}::test_a_verified_export_is_replayed_with_no_server",
    f"{_CLI}::test_an_entry_leads_to_the_text_of_the_policy_that_decided",
)


def decisions_are_reproduced_from_their_entries(root: Path) -> Sequence[str]:
    """Generated decisions come out again by their entries alone; the first difference is named."""
    return failures(root, REPRODUCED)


def a_deployment_replays_its_own_record(root: Path) -> Sequence[str]:
    """Tests have a server decide, then replay its record, online and from a verified export."""
    return named_tests.missing_or_not_run(root, FROM_OUTSIDE)
