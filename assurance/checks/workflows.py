"""The workflows' own rules: one gate, time limits, least permissions, environments, pins, no injection."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from assurance.workflow_files import (
    ACTIONS,
    Action,
    Job,
    Kind,
    Workflow,
    WorkflowFault,
    actions,
    workflow,
    workflows,
)

GATE = "test.yml"
_OF_A_CHANGE = {"pull_request", "merge_group"}
_NEVER = {"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion", "fork"}
_PUBLISHING = {"attestations", "contents", "id-token", "packages", "deployments", "pages"}
_LONGEST_MINUTES = 60


def every_job_is_in_the_gate(root: Path) -> Sequence[str]:
    """One gate waits for every job that a pull request starts, and passes only when each succeeded."""
    try:
        found = {one.file: one for one in workflows(root)}
        tested = workflow(root, GATE)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = [f"{GATE} does not run on {event}" for event in sorted(_OF_A_CHANGE - set(tested.on))]
    wrong += [
        f"{one.file} runs on {event} beside the gate"
        for one in found.values()
        for event in sorted(_OF_A_CHANGE & set(one.on))
        if one.file != GATE
    ]
    gate = tested.jobs.get("gate")
    if gate is None:
        return [*wrong, f"{GATE} has no gate"]
    missing = set(tested.jobs) - {"gate"} - set(gate.waits_for)
    wrong += [f"{GATE}: the gate does not wait for {job}" for job in sorted(missing)]
    wrong += _wrong_with_the_gate(gate)
    reached = (tested, *_called(tested, found))
    for one in reached:
        wrong += [
            f"{one.file}: {name} may fail and count as good"
            for name in one.jobs
            if "continue-on-error" in one.raw(name)
        ]
    wrong += [
        f"{GATE}: {name} has a condition, so it may be skipped"
        for name, job in tested.jobs.items()
        if job.if_ and name != "gate"
    ]
    return wrong


def _wrong_with_the_gate(gate: Job) -> Iterator[str]:
    if "always()" not in gate.if_:
        yield f"{GATE}: the gate is skipped, and so green, when a job before it failed"
    runs = [step for step in gate.steps if "python3 -m tools.gate" in step.run]
    if not any("toJSON(needs)" in step.env.get("NEEDS", "") for step in runs):
        yield f"{GATE}: the gate does not judge how the jobs ended"
    if any("--may-skip" in step.run for step in runs):
        yield f"{GATE}: the gate lets a job be skipped"


def _called(start: Workflow, found: Mapping[str, Workflow]) -> Iterator[Workflow]:
    for job in start.jobs.values():
        called = found.get(job.uses.rpartition("/")[2]) if job.uses.startswith("./") else None
        if called is not None:
            yield called
            yield from _called(called, found)


def what_ci_runs_is_in_the_gate(root: Path) -> Sequence[str]:
    """The gate waits for every target that `.ci/run` runs, and for a double build."""
    try:
        tested = workflow(root, GATE)
    except WorkflowFault as fault:
        return [str(fault)]
    wanted = {
        *re.findall(r"^make ([a-z-]+)", (root / ".ci/run").read_text(), re.MULTILINE),
        "dist-verify",
    }
    runs = {step.run.strip() for job in tested.jobs.values() for step in job.steps}
    return [
        f"{GATE} does not run make {target}"
        for target in sorted(wanted)
        if f"make {target}" not in runs
    ]


def every_job_has_a_time_limit(root: Path) -> Sequence[str]:
    """Every job ends by itself within an hour, and every workflow says what of it may run at once."""
    wrong = []
    for file, name, job in _jobs(root):
        if not job.uses and not 0 < _number(job.timeout_minutes) <= _LONGEST_MINUTES:
            wrong.append(f"{file}: {name} has no time limit of at most {_LONGEST_MINUTES} minutes")
    return wrong + [
        f"{one.file} says nothing of what may run at once"
        for one in workflows(root)
        if not re.search(r"^concurrency:\n  group: ", one.text, re.MULTILINE)
    ]


def permissions_are_the_least(root: Path) -> Sequence[str]:
    """No workflow holds a permission, and each job only those that what it does needs."""
    listed = actions(root)
    wrong = [
        f"{one.file}: permissions at the top are not {{}}"
        for one in workflows(root)
        if one.permissions != {}
    ]
    for file, name, job in _jobs(root):
        if not isinstance(job.permissions, Mapping):
            wrong.append(f"{file}: {name} does not name its permissions")
        elif not job.uses:
            wrong += [f"{file}: {name} {text}" for text in _unneeded(job, listed)]
    return wrong + list(_granted_to_called(workflows(root)))


def _unneeded(job: Job, listed: Mapping[str, Action]) -> Iterator[str]:
    kinds = job.kinds(listed)
    runs = "\n".join(step.run for step in job.steps)
    used = {step.action for step in job.steps}
    uses_ours = Kind.PLUMBING in kinds and "actions/checkout" in used
    needed = {
        "security-events": Kind.RESULTS in kinds,
        "attestations": any(name.startswith("actions/attest") for name in used),
        "id-token": Kind.PUBLISHER in kinds or _publishes_scores(job),
        "packages": "tools.release_images push" in runs or "tools.release_images compare" in runs,
        "contents": uses_ours or "gh release" in runs,
        "actions": _publishes_scores(job),
    }
    for permission, level in job.granted.items():
        if not needed.get(permission, False):
            yield f"has {permission}: {level} and does nothing with it"
    if "contents" in job.writes and "gh release create" not in runs:
        yield "may write the contents and creates no release"
    if "packages" in job.writes and "tools.release_images push" not in runs:
        yield "may write packages and pushes none"


def _publishes_scores(job: Job) -> bool:
    return any(
        step.action == "ossf/scorecard-action" and step.with_.get("publish_results") == "true"
        for step in job.steps
    )


def _granted_to_called(found: Sequence[Workflow]) -> Iterator[str]:
    """A called workflow's jobs get what the caller grants: no less than they need, and no more."""
    by_file = {one.file: one for one in found}
    for one in found:
        for name, job in one.jobs.items():
            called = by_file.get(job.uses.rpartition("/")[2])
            if not job.uses:
                continue
            if called is None or not job.uses.startswith("./.github/workflows/"):
                yield f"{one.file}: {name} calls {job.uses}, which is not of this repository"
                continue
            needs = set(
                chain.from_iterable(inner.granted.items() for inner in called.jobs.values())
            )
            if set(job.granted.items()) != needs:
                yield f"{one.file}: {name} grants other permissions than {called.file} needs"
            if job.secrets is not None:
                yield f"{one.file}: {name} hands secrets on"


def publishing_jobs_have_an_environment(root: Path) -> Sequence[str]:
    """Each job that can sign, publish or write has an environment, and is in the release workflow."""
    wrong = []
    for file, name, job in _jobs(root):
        writes = job.writes & (_PUBLISHING | {"everything"})
        if job.uses or not writes or (writes == {"id-token"} and _publishes_scores(job)):
            continue
        if not job.environment:
            wrong.append(
                f"{file}: {name} may write {', '.join(sorted(writes))} without an environment"
            )
        if file != "release.yml":
            wrong.append(
                f"{file}: {name} may write {', '.join(sorted(writes))} outside the release"
            )
    return wrong + [
        f"{one.file} reads a stored secret: nothing here needs one"
        for one in workflows(root)
        if one.reads_secrets
    ]


def everything_is_pinned(root: Path) -> Sequence[str]:
    """Each action is pinned to the commit of one list, each image to a digest, each runner to a version."""
    try:
        listed = actions(root)
        found = workflows(root)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong: list[str] = []
    used: set[str] = set()
    for one in found:
        for reference in _references(one):
            name, _, commit = reference.partition("@")
            used.add(name)
            action = listed.get(name)
            line = f"uses: {reference} # {action.version}" if action else ""
            if action is None or action.commit != commit or _lines(one, reference) != {line}:
                wrong.append(f"{one.file}: {reference} is not what {ACTIONS} lists, or not said so")
    wrong += [f"{ACTIONS} lists {name}, which nothing uses" for name in sorted(set(listed) - used)]
    wrong += [
        f"{ACTIONS}: {name} is not pinned to a commit"
        for name, action in listed.items()
        if not re.fullmatch(r"[0-9a-f]{40}", action.commit)
    ]
    return wrong + list(_floating(root))


def _references(one: Workflow) -> Iterator[str]:
    for job in one.jobs.values():
        for reference in (job.uses, *(step.uses for step in job.steps)):
            if reference and not reference.startswith("./"):
                yield reference


def _lines(one: Workflow, reference: str) -> set[str]:
    """The lines on which a reference stands, each with its comment."""
    lines = (line.strip().removeprefix("- ") for line in one.text.splitlines())
    return {line for line in lines if reference in line}


def _floating(root: Path) -> Iterator[str]:
    for file, name, job in _jobs(root):
        if not job.uses and not re.fullmatch(r"[a-z]+-\d+\.\d+", job.runs_on):
            yield f"{file}: {name} runs on {job.runs_on or 'nothing'}, which is no version"
        images = [job.container, *job.services.values()]
        for image in filter(None, images):
            text = image if isinstance(image, str) else str(image.get("image", ""))
            if not re.search(r"@sha256:[0-9a-f]{64}$", text):
                yield f"{file}: {name} uses the image {text} without a digest"


def no_text_from_outside_reaches_a_shell(root: Path) -> Sequence[str]:
    """No script holds an expression, no checkout keeps a credential, and no stranger's event has rights."""
    wrong = [
        f"{one.file} runs on {event}, which strangers start with this repository's rights"
        for one in workflows(root)
        for event in sorted(_NEVER & set(one.on))
    ]
    for file, name, job in _jobs(root):
        for step in job.steps:
            if "${{" in step.run:
                wrong.append(f"{file}: {name} expands an expression in a script")
            if re.search(r"\b(curl|wget)\b.*\|", step.run):
                wrong.append(f"{file}: {name} runs what it downloads")
            if (
                step.action == "actions/checkout"
                and step.with_.get("persist-credentials") != "false"
            ):
                wrong.append(f"{file}: {name} keeps the credential of its checkout")
    return wrong


def _jobs(root: Path) -> Iterator[tuple[str, str, Job]]:
    for one in workflows(root):
        for name, job in one.jobs.items():
            yield one.file, name, job


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
