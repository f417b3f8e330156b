"""OSV-Scanner and the dependency review, as the workflows have them."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from assurance.checks.advisories import DATA
from assurance.licences import LIST, Policy
from assurance.schedules import longest_gap, wrong_with_the_times
from assurance.workflow_files import Step, WorkflowFault, workflow
from tools.lock_files import lock_files
from tools.repository import text_files

SCAN = "osv.yml"
REVIEW = "dependency-review.yml"
_SCANNER = "google/osv-scanner-action/osv-scanner-action"
_REVIEWER = "actions/dependency-review-action"
_OVERLAP = 3
"""Days that a review looks back; it runs every two, and late at times."""


def every_lock_is_scanned(root: Path) -> Sequence[str]:
    """OSV-Scanner gets every lock file of the tree, found by what is in it and not listed by hand."""
    scanned = {one.path for one in lock_files(root)}
    wrong = [
        f"{name} holds hashes of packages and is not scanned"
        for name in _with_hashes(root)
        if name not in scanned
    ]
    try:
        steps = [step for _, step in workflow(root, SCAN).using(_SCANNER)]
        listed = [
            step
            for job in workflow(root, SCAN).jobs.values()
            for step in job.steps
            if step.run == 'python3 -m tools.lock_files >> "$GITHUB_OUTPUT"' and not step.if_
        ]
    except WorkflowFault as fault:
        return [str(fault)]
    if len(steps) != 1 or len(listed) != 1:
        return [*wrong, f"{SCAN} does not scan what tools.lock_files lists"]
    given = steps[0].with_.get("scan-args", "").split("\n")
    if f"${{{{ steps.{listed[0].id}.outputs.arguments }}}}" not in given:
        wrong.append(f"{SCAN} does not hand the lock files to the scanner")
    return wrong


def _with_hashes(root: Path) -> Iterator[str]:
    """Files that pin packages by hash, whatever their name: one look for each form that occurs."""
    for path, text in text_files(root):
        form = _PIP if path.suffix != ".py" else None
        if path.suffix in {".json", ".lock", ".toml", ".yaml"}:
            form = _LOCKED
        if path.name == "go.sum":
            yield path.relative_to(root).with_name("go.mod").as_posix()
        elif form is not None and form.search(text):
            yield path.relative_to(root).as_posix()


_PIP = re.compile(r"^\s+--hash=sha256:[0-9a-f]{64}", re.MULTILINE)
_LOCKED = re.compile(
    r'"integrity": "sha512-|^resolution: |checksum = "[0-9a-f]{64}"'
    r"|^\[\[(package|packages)\]\]\nname = .*\nversion = .*\nsource = ",
    re.MULTILINE,
)


def scan_runs_and_fails(root: Path) -> Sequence[str]:
    """OSV-Scanner runs on every change, through the gate, and daily; what it finds fails it."""
    try:
        found = workflow(root, SCAN)
        wrong = list(wrong_with_the_times(root, SCAN, 1))
    except WorkflowFault as fault:
        return [str(fault)]
    for name, step in found.using(_SCANNER):
        arguments = step.with_.get("scan-args", "").split("\n")
        if step.if_:
            wrong.append(f"{SCAN}: {name} scans under a condition")
        if "--config=osv-scanner.toml" not in arguments:
            wrong.append(f"{SCAN}: {name} does not use the dated suppressions of osv-scanner.toml")
        wrong += [
            f"{SCAN}: {name} passes {one}"
            for one in arguments
            if one.startswith(
                ("--offline", "--allow-no-lockfiles", "--experimental-exclude", "--no-ignore")
            )
        ]
    return wrong


def advisories_are_matched_besides(root: Path) -> Sequence[str]:
    """The forge also downloads the published advisories, and our own matcher holds every lock to them."""
    try:
        jobs = workflow(root, SCAN).jobs
    except WorkflowFault as fault:
        return [str(fault)]
    for job in jobs.values():
        runs = [(step.run, step.env.get(DATA)) for step in job.steps if not step.if_]
        data = next((place for run, place in runs if run.startswith("curl --fail ")), None)
        if data and ("make assurance ARGS=DV-3", data) in runs and not job.if_:
            return []
    return [f"{SCAN} does not match what is locked against downloaded advisories"]


def review_fails_at_high(root: Path) -> Sequence[str]:
    """The dependency review fails at High and above, in every scope, on each pull request, in the gate."""
    try:
        steps = [step for _, step in workflow(root, REVIEW).using(_REVIEWER)]
        called = workflow(root, "test.yml").jobs
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = []
    if not any(job.uses.endswith(f"/{REVIEW}") and not job.if_ for job in called.values()):
        wrong.append(f"test.yml does not call {REVIEW}")
    if len(steps) != 1:
        return [*wrong, f"{REVIEW} does not review"]
    given = steps[0].with_
    if given.get("fail-on-severity") not in {"low", "moderate", "high"}:
        wrong.append(f"{REVIEW} lets what is high pass")
    scopes = {one.strip() for one in given.get("fail-on-scopes", "").split(",")}
    if scopes != {"runtime", "development", "unknown"}:
        wrong.append(f"{REVIEW} leaves a scope out")
    wrong += [
        f"{REVIEW} turns {key} off"
        for key in ("vulnerability-check", "license-check")
        if given.get(key, "true") != "true"
    ]
    wrong += [
        f"{REVIEW} sets {key}"
        for key in ("warn-only", "allow-ghsas", "config-file")
        if given.get(key, "false") != "false"
    ]
    return wrong


def review_excuses_what_the_list_excepts(root: Path) -> Sequence[str]:
    """The dependency review excuses exactly the distributions that the list of licences excepts."""
    try:
        excepted = {f"pkg:pypi/{one.name}" for one in Policy.read(root).exception}
        steps = [step for _, step in workflow(root, REVIEW).using(_REVIEWER)]
    except (WorkflowFault, msgspec.ValidationError, tomllib.TOMLDecodeError) as fault:
        return [str(fault)]
    wrong = []
    for step in steps:
        excused = step.with_.get("allow-dependencies-licenses", "").split(",")
        differing = {one.strip() for one in excused if one.strip()} ^ excepted
        wrong += [f"{REVIEW} and {LIST} differ in {name}" for name in sorted(differing)]
    return wrong


def review_comes_every_two_days(root: Path) -> Sequence[str]:
    """The dependency review runs every two days over what was merged, and only when something landed."""
    try:
        found = workflow(root, REVIEW)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = [] if longest_gap(found.crons()) <= 2 else [f"{REVIEW} does not run every two days"]  # noqa: PLR2004 (as named)
    for name, step in found.using(_REVIEWER):
        steps = found.jobs[name].steps
        ranges = [one for one in steps if "python3 -m tools.landed" in one.run]
        if len(ranges) != 1 or ranges[0].if_:
            wrong.append(f"{REVIEW}: {name} does not say what landed")
            continue
        wrong += [f"{REVIEW}: {name} {text}" for text in _wrong_with_range(ranges[0], step)]
        depths = [one.with_.get("fetch-depth") for one in steps if one.action == "actions/checkout"]
        if depths != ["0"]:
            wrong.append(f"{REVIEW}: {name} has no history to look back on")
    return wrong


def _wrong_with_range(landed: Step, review: Step) -> Iterator[str]:
    days = re.search(r"--days (\d+)", landed.run)
    if days is None or int(days[1]) < _OVERLAP:
        yield f"looks back less than {_OVERLAP} days, so a late run leaves something out"
    if review.if_ != f"${{{{ steps.{landed.id}.outputs.landed == 'true' }}}}":
        yield "is not skipped exactly when nothing landed"
    for key in ("base", "head"):
        if review.with_.get(f"{key}-ref") != f"${{{{ steps.{landed.id}.outputs.{key} }}}}":
            yield f"does not compare the {key} of what landed"
