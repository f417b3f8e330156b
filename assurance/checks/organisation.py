"""What a repository can hold of settings that only its host enforces."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

OWNERS: Final = ".github/CODEOWNERS"
MAIN: Final = ".github/rulesets/main.json"
TAGS: Final = ".github/rulesets/tags.json"
WORKFLOW: Final = ".github/workflows/test.yml"
_GUARDED: Final = (
    "/SECURITY.md",
    "/.github/",
    "/assurance/",
    "/src/caracal/tokens/",
    "/requirements/",
)
_HANDLE: Final = re.compile(r"@[A-Za-z0-9][A-Za-z0-9-]*(/[A-Za-z0-9._-]+)?")
_REVIEW: Final = (
    "dismiss_stale_reviews_on_push",
    "require_code_owner_review",
    "require_last_push_approval",
)


class _Rule(msgspec.Struct, frozen=True):
    type: str
    parameters: dict[str, Any] = {}


class _Names(msgspec.Struct, frozen=True):
    include: tuple[str, ...]
    exclude: tuple[str, ...]


class _Conditions(msgspec.Struct, frozen=True):
    ref_name: _Names


class _Ruleset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    target: str
    enforcement: str
    bypass_actors: tuple[Any, ...]
    conditions: _Conditions
    rules: tuple[_Rule, ...]

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        return {rule.type: rule.parameters for rule in self.rules}


def code_has_owners(root: Path) -> Sequence[str]:
    """CODEOWNERS gives every file an owner, and names what is sensitive by paths that exist."""
    file = root / OWNERS
    if not file.is_file():
        return [f"there is no {OWNERS}"]
    lines = [line.split() for line in file.read_text().splitlines() if line and line[0] != "#"]
    wrong = [] if any(line[0] == "*" for line in lines) else ["not every file has an owner"]
    patterns = {line[0] for line in lines}
    wrong += [f"{path} has no owner of its own" for path in _GUARDED if path not in patterns]
    for pattern, *owners in lines:
        if not owners or not all(_HANDLE.fullmatch(owner) for owner in owners):
            wrong.append(f"{pattern} has no owner that a forge can find")
        if pattern != "*" and not (root / pattern.strip("/")).exists():
            wrong.append(f"{pattern} is not there")
    return wrong


def main_is_to_be_protected(root: Path) -> Sequence[str]:
    """The ruleset for main demands review by owners, the gate, signatures, and lets nobody around it."""
    found = _read(root, MAIN)
    if isinstance(found, str):
        return [found]
    wrong = _enforced(MAIN, found, "branch", "~DEFAULT_BRANCH")
    rules = found.parameters
    for rule in ("deletion", "non_fast_forward", "required_signatures"):
        if rule not in rules:
            wrong.append(f"{MAIN} lacks the rule {rule}")
    review = rules.get("pull_request", {})
    if review.get("required_approving_review_count", 0) < 1:
        wrong.append(f"{MAIN} demands no approval")
    wrong += [f"{MAIN} does not demand {name}" for name in _REVIEW if not review.get(name)]
    checks = rules.get("required_status_checks", {}).get("required_status_checks", [])
    gate = _gate(root)
    if [check.get("context") for check in checks] != [gate]:
        wrong.append(f"{MAIN} does not demand the job {gate} of {WORKFLOW}, and that one only")
    return wrong


def release_tags_are_to_be_protected(root: Path) -> Sequence[str]:
    """The ruleset for release tags lets nobody move or remove one."""
    found = _read(root, TAGS)
    if isinstance(found, str):
        return [found]
    wrong = _enforced(TAGS, found, "tag", "refs/tags/v*")
    for rule in ("deletion", "update", "non_fast_forward"):
        if rule not in found.parameters:
            wrong.append(f"{TAGS} lacks the rule {rule}")
    return wrong


def page_says_what_can_not_be_seen(root: Path) -> Sequence[str]:
    """The rows on branch protection and on maintainers are no more than documented, and say why."""
    text = (root / "assurance/controls/organisation.toml").read_text()
    wrong = []
    for row in text.split("[[control]]")[1:]:
        if 'status = "Documented"' not in row:
            wrong.append("a row rests on settings of the host, and says more than Documented")
        if "not visible from" not in row:
            wrong.append("a row does not say that the setting is not visible from the tree")
    return wrong


def _read(root: Path, name: str) -> _Ruleset | str:
    try:
        return msgspec.json.decode((root / name).read_bytes(), type=_Ruleset)
    except (OSError, msgspec.DecodeError) as fault:
        return f"{name}: {fault}"


def _enforced(name: str, found: _Ruleset, target: str, reference: str) -> list[str]:
    wrong = []
    if (found.target, found.enforcement) != (target, "active"):
        wrong.append(f"{name} is not in force")
    if found.bypass_actors:
        wrong.append(f"{name} lets somebody around it")
    names = found.conditions.ref_name
    if reference not in names.include or names.exclude:
        wrong.append(f"{name} does not cover {reference}")
    return wrong


def _gate(root: Path) -> str:
    """The name of the job that stands for all of them."""
    jobs = yaml.safe_load((root / WORKFLOW).read_text())["jobs"]
    return str(jobs.get("gate", {}).get("name", "gate"))
