"""Check what only a forge executes, by the same checks that the register rests on.

Usage: python -m tools.check_forge
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from assurance.checks import (
    code_scanning,
    container_scan,
    dependency_scans,
    forge,
    posture,
    release_workflow,
    scanners,
    updates,
    workflows,
)
from tools.repository import ROOT, Finding, report

CHECKS = (
    workflows.every_job_is_in_the_gate,
    workflows.what_ci_runs_is_in_the_gate,
    workflows.every_job_has_a_time_limit,
    workflows.permissions_are_the_least,
    workflows.publishing_jobs_have_an_environment,
    workflows.everything_is_pinned,
    workflows.no_text_from_outside_reaches_a_shell,
    forge.scripts_are_sound,
    forge.what_it_runs_is_ours,
    code_scanning.every_language_is_analysed,
    code_scanning.queries_are_extended_and_whole,
    code_scanning.it_runs_on_changes_and_weekly,
    dependency_scans.every_lock_is_scanned,
    dependency_scans.scan_runs_and_fails,
    dependency_scans.advisories_are_matched_besides,
    dependency_scans.review_fails_at_high,
    dependency_scans.review_excuses_what_the_list_excepts,
    dependency_scans.review_comes_every_two_days,
    container_scan.published_images_are_scanned,
    container_scan.critical_and_high_fail,
    container_scan.nothing_is_published_unscanned,
    container_scan.suppressions_are_dated,
    updates.every_ecosystem_is_kept_up_to_date,
    updates.updates_come_weekly_in_groups,
    scanners.scanners_hold_nothing,
    scanners.what_scanners_leave_is_only_shown,
    posture.scorecard_is_asked_weekly,
    posture.licence_and_policy_are_where_forges_look,
    posture.no_program_is_committed,
    posture.what_reads_strangers_bytes_is_fuzzed,
    release_workflow.signing_is_keyless,
    release_workflow.nothing_is_published_unverified,
    release_workflow.the_package_is_published_by_trust,
    release_workflow.what_users_get_is_verified,
)


def check_forge(root: Path) -> Iterator[Finding]:
    """Yield what each check finds."""
    for check in CHECKS:
        found: Sequence[str] = check(root)
        for text in found:
            yield Finding(".github", 0, text)


if __name__ == "__main__":
    sys.exit(report(check_forge(ROOT), checked="forge"))
