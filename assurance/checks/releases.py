"""What users verify a release with: the tests that plant what it must refuse, run now."""

from collections.abc import Sequence
from pathlib import Path

from assurance.pytest_runs import failures

_TAMPERED = "tests/release/test_tampered_releases_are_refused.py"
_KEYLESS = "tests/release/test_keyless_signatures.py"
_ATTESTED = "tests/release/test_attestations_of_packages.py"
_INSTALLER = "tests/release/test_the_installer_refuses_what_does_not_verify.py"

TAMPERINGS = {
    "a changed byte": "test_a_changed_byte_is_refused",
    "a swapped file": "test_a_swapped_file_is_refused",
    "another repository": "test_a_release_of_another_repository_is_refused",
    "another workflow": "test_a_release_by_another_workflow_is_refused",
    "an expired certificate": "test_a_signature_outside_its_certificate_s_lifetime_is_refused",
    "a missing log entry": "test_a_signature_that_no_log_has_recorded_is_refused",
    "a downgraded version": "test_an_older_version_than_asked_for_is_refused",
    "an added file": "test_an_added_file_is_refused",
    "an altered bill of materials": "test_an_altered_bill_of_materials_is_refused",
    "a replayed old release": "test_an_old_release_replayed_as_the_newest_is_refused",
    "another digest algorithm": "test_digests_of_another_algorithm_are_refused",
    "a missing file": "test_a_missing_file_is_refused",
}


def signatures_are_verified(root: Path) -> Sequence[str]:
    """A keyless signature verifies offline; another identity, digest, log, authority or time is refused."""
    return failures(root, [_KEYLESS, _ATTESTED])


def tamperings_are_refused(root: Path) -> Sequence[str]:
    """`caracal release verify` passes a good release and refuses each planted tampering by its name."""
    named = [f"{_TAMPERED}::{test}" for test in TAMPERINGS.values()]
    good = f"{_TAMPERED}::test_a_release_that_nobody_touched_verifies"
    return failures(root, [good, *named])


def the_installer_refuses(root: Path) -> Sequence[str]:
    """The installer leaves nothing behind of a release that does not verify or could not be checked."""
    tests = (
        "test_a_release_that_does_not_verify_leaves_nothing_behind",
        "test_what_can_not_be_checked_is_not_installed",
        "test_the_verifier_may_not_come_from_the_release",
        "test_the_script_is_clean_and_fetches_nothing",
    )
    return failures(root, [f"{_INSTALLER}::{test}" for test in tests])
