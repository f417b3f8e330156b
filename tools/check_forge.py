"""Check what only a forge executes, by the same checks that the register rests on.

Usage: python -m tools.check_forge
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from assurance.checks import forge, workflows
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
)


def check_forge(root: Path) -> Iterator[Finding]:
    """Yield what each check finds."""
    for check in CHECKS:
        found: Sequence[str] = check(root)
        for text in found:
            yield Finding(".github", 0, text)


if __name__ == "__main__":
    sys.exit(report(check_forge(ROOT), checked="forge"))
