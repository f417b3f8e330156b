"""What the jobs that run a scanner hold: nothing worth stealing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from assurance.workflow_files import Action, Job, Kind, WorkflowFault, actions, workflows

_BY_NAME = re.compile(
    r"\bmake (check|assurance)\b|"
    r"\b(bandit|checkov|codeql|gitleaks|grype|osv-scanner|pip-audit|scorecard|semgrep|snyk|syft|trivy)\b"
)
_SCORES = "ossf/scorecard-action"


def scanners_hold_nothing(root: Path) -> Sequence[str]:
    """No job that runs a scanner has a secret, an environment, write access or a way to publish."""
    try:
        listed = actions(root)
        found = workflows(root)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = []
    for one in found:
        for name, job in one.jobs.items():
            if _scans(job, listed):
                wrong += [
                    f"{one.file}: {name} {text}" for text in _held(job, one.raw(name), listed)
                ]
    return wrong


def _scans(job: Job, listed: Mapping[str, Action]) -> bool:
    return Kind.SCANNER in job.kinds(listed) or any(_BY_NAME.search(step.run) for step in job.steps)


def _held(job: Job, raw: str, listed: Mapping[str, Action]) -> Iterator[str]:
    # Scorecard publishes under its own name: the token says scorecard.yml, and no index, no registry and
    # no verifier of ours accepts that name. It may have no other, and no scanner beside it.
    scorers = {
        step.action
        for step in job.steps
        if step.action in listed and listed[step.action].kind == "scanner"
    }
    excused = frozenset({"id-token"}) if scorers == {_SCORES} else frozenset()
    for permission in sorted(job.writes - excused):
        yield f"scans and may write {permission}"
    if job.environment:
        yield "scans and stands in an environment"
    if re.search(r"secrets[.\[]|github\.token|GITHUB_TOKEN", raw):
        yield "scans and is handed a secret or a token"
    if "persist-credentials: false" not in raw and "actions/checkout" in raw:
        yield "scans beside a credential"
    others = job.kinds(listed) - {Kind.SCANNER, Kind.PLUMBING}
    if others:
        yield f"scans and does other things: {', '.join(sorted(others))}"
    if re.search(r"enable-cache|actions/cache|cache: ['\"]?(true|pip)", raw):
        yield "scans and can leave something for a later run"


def what_scanners_leave_is_only_shown(root: Path) -> Sequence[str]:
    """A job that shows what a scanner found runs no script, and can write nothing but that."""
    try:
        listed = actions(root)
        found = workflows(root)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = []
    for one in found:
        for name, job in one.jobs.items():
            if Kind.RESULTS not in job.kinds(listed):
                continue
            if job.writes != {"security-events"}:
                wrong.append(f"{one.file}: {name} shows results and may write more")
            if any(step.run for step in job.steps) or job.kinds(listed) != {
                Kind.RESULTS,
                Kind.PLUMBING,
            }:
                wrong.append(f"{one.file}: {name} shows results and does other things")
    return wrong
