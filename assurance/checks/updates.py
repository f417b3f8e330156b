"""Dependabot, against the ecosystems that the tree holds."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec
import yaml

from assurance.workflow_files import FOLDER
from tools.repository import repository_files

FILE = Path(".github/dependabot.yml")
_SHORTEST_COOLDOWN = 7
_MANIFESTS = {
    "Cargo.toml": "cargo", "Gemfile": "bundler", "composer.json": "composer", "go.mod": "gomod",
    "package.json": "npm", "pyproject.toml": "pip", ".gitmodules": "gitsubmodule",
}  # fmt: skip


class _Entry(msgspec.Struct, frozen=True, rename="kebab"):
    package_ecosystem: str
    directory: str = ""
    directories: tuple[str, ...] = ()
    schedule: Mapping[str, str] = {}
    groups: Mapping[str, Mapping[str, object]] = {}
    cooldown: Mapping[str, object] = {}
    ignore: tuple[object, ...] = ()

    @property
    def folders(self) -> frozenset[str]:
        return frozenset({self.directory, *self.directories} - {""})


class _Updates(msgspec.Struct, frozen=True):
    version: str
    updates: tuple[_Entry, ...]


def every_ecosystem_is_kept_up_to_date(root: Path) -> Sequence[str]:
    """Dependabot has every folder of every ecosystem that the tree holds, and no other."""
    expected = {kind: frozenset(folders) for kind, folders in _ecosystems(root).items()}
    try:
        entries = _read(root)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as fault:
        return [f"{FILE}: {fault}"]
    listed: dict[str, frozenset[str]] = defaultdict(frozenset)
    for entry in entries:
        listed[entry.package_ecosystem] |= entry.folders
    wrong = []
    for kind in sorted(expected.keys() | listed.keys()):
        for folder in sorted(expected.get(kind, frozenset()) ^ listed.get(kind, frozenset())):
            absent = folder in expected.get(kind, frozenset())
            wrong.append(
                f"{FILE}: {kind} {folder} is {'not there' if absent else 'of nothing in the tree'}"
            )
    return wrong


def updates_come_weekly_in_groups(root: Path) -> Sequence[str]:
    """Updates come weekly and grouped, leave nothing out, and wait until what is new is a week old."""
    try:
        entries = _read(root)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as fault:
        return [f"{FILE}: {fault}"]
    wrong = []
    for entry in entries:
        kind = entry.package_ecosystem
        if entry.schedule.get("interval") not in {"weekly", "daily"}:
            wrong.append(f"{FILE}: {kind} is not weekly")
        if not any(group.get("patterns") == ["*"] for group in entry.groups.values()):
            wrong.append(f"{FILE}: {kind} is not grouped")
        if int(str(entry.cooldown.get("default-days", 0))) < _SHORTEST_COOLDOWN:
            wrong.append(f"{FILE}: {kind} takes what is less than {_SHORTEST_COOLDOWN} days old")
        if entry.ignore or set(entry.cooldown) & {"include", "exclude"}:
            wrong.append(f"{FILE}: {kind} leaves something out")
    return wrong


def _read(root: Path) -> Sequence[_Entry]:
    content = yaml.load((root / FILE).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 (makes no objects)
    return msgspec.convert(content, _Updates).updates


def _ecosystems(root: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for file in repository_files(root):
        path = PurePosixPath(file.relative_to(root).as_posix())
        for kind in _kinds(path, file):
            folder = (
                "/"
                if kind == "github-actions"
                else f"/{path.parent}".removesuffix("/.").rstrip(".")
            )
            found[kind].add(folder or "/")
    return found


def _kinds(path: PurePosixPath, file: Path) -> Iterator[str]:
    if Path(path.parent) == FOLDER or path.name in {"action.yml", "action.yaml"}:
        yield "github-actions"
    if path.name in _MANIFESTS:
        yield _MANIFESTS[path.name]
    elif path.parts[0] == "requirements" and path.suffix == ".txt":
        yield "pip"
    elif path.name.startswith(("Containerfile", "Dockerfile")):
        yield "docker"
    elif path.name in {"compose.yaml", "compose.yml", "docker-compose.yml"} and _of_others(file):
        yield "docker-compose"
    elif path.name == "Chart.yaml" and "\ndependencies:" in file.read_text():
        yield "helm"


def _of_others(compose: Path) -> bool:
    """Whether it runs an image that is not of our own release, which its operator names."""
    services = yaml.safe_load(compose.read_text()).get("services", {})
    images = (str(service.get("image", "")) for service in services.values())
    return not all("CARACAL_IMAGE" in image for image in images)
