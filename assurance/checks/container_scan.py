"""Trivy, as the workflow has it, and what may be suppressed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from assurance.schedules import longest_gap
from assurance.suppressions import FILE as SUPPRESSIONS
from assurance.suppressions import faults
from assurance.workflow_files import Step, Workflow, WorkflowFault, workflow

FILE = "container-scan.yml"
_SCANNER = "aquasecurity/trivy-action"
_EVERY_IMAGE = "${{ fromJSON(needs.images.outputs.images) }}"


def published_images_are_scanned(root: Path) -> Sequence[str]:
    """Trivy scans every image that the newest release states, weekly, and shows what it finds."""
    try:
        found = workflow(root, FILE)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = [] if longest_gap(found.crons()) <= 7 else [f"{FILE} does not run weekly"]  # noqa: PLR2004 (days)
    scans = list(found.using(_SCANNER))
    if len(scans) != 1:
        return [*wrong, f"{FILE} does not scan"]
    for name in (scans[0][0], "results"):
        job = found.jobs.get(name)
        if job is None or job.strategy.get("matrix") != {"image": _EVERY_IMAGE}:
            wrong.append(f"{FILE}: {name} is not of every image of the release")
    listed = [step.run for job in found.jobs.values() for step in job.steps]
    if not any(run.startswith("python3 -m tools.release_images list dist") for run in listed):
        wrong.append(f"{FILE} does not take the images from the release's manifest")
    if not list(found.using("github/codeql-action/upload-sarif")):
        wrong.append(f"{FILE} does not show what it finds")
    return [*wrong, *_wrong_with_the_targets(scans[0][1])]


def _wrong_with_the_targets(step: Step) -> Iterator[str]:
    published, built = step.with_.get("image-ref", ""), step.with_.get("input", "")
    if "image.reference" not in published or "image.digest" not in built:
        yield f"{FILE} does not name the images by digest"


def critical_and_high_fail(root: Path) -> Sequence[str]:
    """Critical and High fail the scan, fixed or not; only the dated suppressions excuse a finding."""
    try:
        found = workflow(root, FILE)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = []
    for name, step in found.using(_SCANNER):
        given = step.with_
        wrong += [
            f"{FILE}: {name} has {key} {given.get(key)}"
            for key, right in (
                ("exit-code", "1"),
                ("severity", "CRITICAL,HIGH"),
                ("ignore-unfixed", "false"),
                ("trivyignores", str(SUPPRESSIONS)),
            )
            if given.get(key) != right
        ]
        wrong += [
            f"{FILE}: {name} sets {key}"
            for key in ("ignore-policy", "skip-dirs", "skip-files", "trivy-config", "vuln-type")
            if key in given
        ]
        if step.if_:
            wrong.append(f"{FILE}: {name} scans under a condition")
    return wrong


def nothing_is_published_unscanned(root: Path) -> Sequence[str]:
    """The release scans its images as built, and signs and publishes only when the scan succeeded."""
    try:
        release = workflow(root, "release.yml")
    except WorkflowFault as fault:
        return [str(fault)]
    scans = [name for name, job in release.jobs.items() if job.uses.endswith(f"/{FILE}")]
    if len(scans) != 1 or release.jobs[scans[0]].if_:
        return ["release.yml does not scan its images"]
    return [
        f"release.yml: {name} does not wait for the scan"
        for name in _publishing(release)
        if scans[0] not in release.before(name)
    ]


def _publishing(release: Workflow) -> Iterator[str]:
    for name, job in release.jobs.items():
        if job.environment:
            yield name


def suppressions_are_dated(root: Path) -> Sequence[str]:
    """Each suppression has an id, a reason, and an end that is at most 90 days ahead and not past."""
    file = root / SUPPRESSIONS
    if not file.exists():
        return [f"there is no {SUPPRESSIONS}"]
    others = [name for name in (".trivyignore", "trivy.yaml") if (root / name).exists()]
    today = datetime.now(UTC).date()
    return [
        *faults(file.read_text(), today),
        *(f"{name} suppresses without a date" for name in others),
    ]
