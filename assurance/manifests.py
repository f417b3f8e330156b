"""What the Helm chart renders to, as the checks look at it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from tools import chart

WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"})

Object = Mapping[str, Any]


class Manifest(msgspec.Struct, frozen=True):
    """One object of one rendering.

    Attributes:
        case: the values that it was rendered with.
    """

    case: str
    content: Object

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def place(self) -> str:
        """Where it is, in a finding."""
        return f"{self.case}: {self.kind} {self.content['metadata']['name']}"

    @property
    def component(self) -> str:
        """The process that the object is about; nothing for what is about all."""
        labels = self.content["metadata"].get("labels", {})
        return str(labels.get("app.kubernetes.io/component", ""))

    @property
    def pod(self) -> Object:
        """The specification of a workload's pods."""
        spec: Object = self.content["spec"]
        return spec if self.kind == "Pod" else spec["template"]["spec"]

    @property
    def containers(self) -> Sequence[Object]:
        pod = self.pod
        return [*pod["containers"], *pod.get("initContainers", ())]


def manifests(root: Path) -> list[Manifest]:
    """Render the chart with every set of values; without helm, read what it rendered to before.

    Raises:
        ValueError: helm refuses the chart.
    """
    return [one for case in chart.cases(root) for one in _parse(case, _text(root, case))]


def _text(root: Path, case: str) -> str:
    try:
        return chart.render(chart.find_helm(), root, case)
    except chart.NoHelm:
        return chart.stored(root, case)[1]


def _parse(case: str, text: str) -> Iterator[Manifest]:
    for content in yaml.load_all(text, Loader=yaml.CSafeLoader):
        if content:
            yield Manifest(case, content)


def same(first: str, second: str) -> bool:
    """Whether two renderings hold the same objects, in whatever order and layout."""
    return _by_name(first) == _by_name(second)


def _by_name(text: str) -> dict[tuple[str, str], Object]:
    found = (one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def workloads(root: Path) -> list[Manifest]:
    return [one for one in manifests(root) if one.kind in WORKLOADS]
