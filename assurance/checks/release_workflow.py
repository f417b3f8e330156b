"""The release workflow: who signs, what comes before publication, and what is verified after it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from assurance.schedules import longest_gap
from assurance.workflow_files import Action, Job, Kind, Workflow, WorkflowFault, actions, workflow

FILE = "release.yml"
AFTER = "verify-release.yml"
_EXPECTED = Path("src/caracal_server/release/identity.py")
_PUBLISHER = "pypa/gh-action-pypi-publish"
_HOLD = 'echo "$SUMS  SHA256SUMS" | sha256sum --check && sha256sum --check --quiet SHA256SUMS'
_SUMS = "${{ needs.rebuild.outputs.sums }}"
_VERIFY = "make verify-release DIR=release"
_KEYS = re.compile(
    r"secrets[.\[]|PRIVATE_KEY|cosign sign|gpg |--key\b|\bpassword:|\busername:|api-token",
    re.IGNORECASE,
)
_PUBLISHES = re.compile(
    r"gh release (create|upload|edit)|tools\.release_images push|skopeo copy|twine|docker push"
)


def signing_is_keyless(root: Path) -> Sequence[str]:
    """Releases are signed as the release workflow's own run at a tag, and no key is kept anywhere."""
    try:
        release = workflow(root, FILE)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = [f"{FILE} holds {found}" for found in sorted(set(_KEYS.findall(release.text)))]
    if f'\nWORKFLOW = ".github/workflows/{FILE}"\n' not in (root / _EXPECTED).read_text():
        wrong.append(f"users do not verify that {FILE} signed")
    if set(release.on) != {"push"} or release.on["push"] != {"tags": ["v*"]}:
        wrong.append(f"{FILE} is started by something other than a tag")
    signs = [
        name
        for name, job in release.jobs.items()
        if any(step.run == "make attest-release DIR=dist" for step in job.steps)
    ]
    if len(signs) != 1:
        return [*wrong, f"{FILE} does not sign once"]
    job = release.jobs[signs[0]]
    if job.granted.get("id-token") != "write" or not job.environment:
        wrong.append(f"{FILE}: {signs[0]} has no identity to sign with, or no environment")
    return [*wrong, *_forge_attests(release, signs[0])]


def _forge_attests(release: Workflow, signs: str) -> Iterator[str]:
    attested = [
        step.with_.get("subject-path")
        for name, step in release.using("actions/attest-build-provenance")
        if name == signs
    ]
    if attested != ["dist/*"]:
        yield f"{FILE}: {signs} does not attest every file"
    for name, steps in (("sboms", "subject-path"), ("images", "subject-digest")):
        bills = [step for _, step in release.using("actions/attest") if steps in step.with_]
        if len(bills) != 1 or "sbom-path" not in bills[0].with_:
            yield f"{FILE} does not attest the bills of materials of {name}"
    if not all(
        step.with_.get("push-to-registry") == "true"
        for action in ("actions/attest", "actions/attest-build-provenance")
        for _, step in release.using(action)
        if "subject-digest" in step.with_
    ):
        yield f"{FILE} does not put an image's attestations beside the image"


def nothing_is_published_unverified(root: Path) -> Sequence[str]:
    """What signs waits for tests, equal builds and the scan; what publishes, for the verifier too."""
    try:
        release = workflow(root, FILE)
        listed = actions(root)
    except WorkflowFault as fault:
        return [str(fault)]
    wrong = []
    for name, job in release.jobs.items():
        needs = release.before(name)
        wanted = {"test", "build", "rebuild", "scan"} if _signs_or_publishes(job, listed) else set()
        if wanted and name != "attest":
            wanted |= {"attest", "verify"}
        wrong += [f"{FILE}: {name} does not wait for {one}" for one in sorted(wanted - needs)]
        if wanted and (job.if_ or "continue-on-error" in release.raw(name)):
            wrong.append(f"{FILE}: {name} may run although something failed")
        held = [step for step in job.steps if step.run == _HOLD and step.env.get("SUMS") == _SUMS]
        if wanted and not held:
            wrong.append(f"{FILE}: {name} takes whatever it downloads for what was built twice")
    expected = {
        "test": "./.github/workflows/test.yml",
        "build": "make dist",
        "rebuild": "diff --recursive first dist",
        "scan": "./.github/workflows/container-scan.yml",
        "verify": _VERIFY,
    }
    for name, does in expected.items():
        job = release.jobs.get(name, Job())
        if job.if_ or does not in {job.uses, *(step.run for step in job.steps if not step.if_)}:
            wrong.append(f"{FILE}: {name} does not do {does}")
    return wrong


def _signs_or_publishes(job: Job, listed: Mapping[str, Action]) -> bool:
    return Kind.PUBLISHER in job.kinds(listed) or any(
        _PUBLISHES.search(step.run) for step in job.steps
    )


def the_package_is_published_by_trust(root: Path) -> Sequence[str]:
    """The Python package is published without a token, attested, from an environment of its own."""
    try:
        release = workflow(root, FILE)
    except WorkflowFault as fault:
        return [str(fault)]
    published = list(release.using(_PUBLISHER))
    if len(published) != 1:
        return [f"{FILE} does not publish the package once"]
    name, step = published[0]
    job = release.jobs[name]
    wrong = []
    if step.with_ != {"packages-dir": "packages", "attestations": "true"}:
        wrong.append(
            f"{FILE}: {name} publishes otherwise than with attestations and without a token"
        )
    if job.granted != {"id-token": "write"} or job.environment != "pypi":
        wrong.append(f"{FILE}: {name} holds more than the identity it publishes with")
    return wrong


def what_users_get_is_verified(root: Path) -> Sequence[str]:
    """After a release, and weekly, what users get is verified by their own command, nothing excused."""
    try:
        release, after = workflow(root, FILE), workflow(root, AFTER)
    except WorkflowFault as fault:
        return [str(fault)]
    calls = [
        name for name, job in release.jobs.items() if job.uses.endswith(f"/{AFTER}") and not job.if_
    ]
    wrong = [] if calls else [f"{FILE} does not call {AFTER}"]
    wrong += [
        f"{FILE}: {name} does not come after {one}"
        for name in calls
        for one in ("publish-release", "publish-package", "publish-images")
        if one not in release.before(name)
    ]
    if longest_gap(after.crons()) > 7:  # noqa: PLR2004 (days)
        wrong.append(f"{AFTER} does not run weekly")
    runs = [step.run for job in after.jobs.values() for step in job.steps if not step.if_]
    wanted = (
        'gh release download "$TAG" --dir release',
        _VERIFY,
        'python -m tools.published_package release "$REPOSITORY"',
        'python3 -m tools.release_images compare release "$REGISTRY"',
    )
    wrong += [
        f"{AFTER} does not run {one}" for one in wanted if not any(one in run for run in runs)
    ]
    return [*wrong, *_wrong_with_the_command(root)]


def _wrong_with_the_command(root: Path) -> Iterator[str]:
    if (
        "verify-release: $(VENV)/dev.stamp\n\t@$(BIN)/python -m tools.verify_release $(DIR)\n"
        not in (root / "Makefile").read_text()
    ):
        yield "make verify-release is not the users' command"
    said = (root / "tools/verify_release.py").read_text()
    if '"release", "verify", folder' not in said or "--accept-unchecked" in said:
        yield "tools/verify_release.py does not run `caracal release verify`, or excuses something"
