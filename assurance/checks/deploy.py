"""What is installed on Kubernetes: the chart, as helm renders it."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import yaml

from assurance.checks import NotRunHere
from assurance.manifests import WORKLOADS, Manifest, Object, manifests, same, workloads
from tools import chart

KUBERNETES: Final = "1.37"
USER: Final = 65532
ASKS: Final[Mapping[str, frozenset[str]]] = {
    "sts": frozenset({"coordinator", "audit", "control"}),
    "gateway": frozenset({"sts", "coordinator", "audit", "control"}),
    "coordinator": frozenset({"sts", "audit", "control"}),
    "audit": frozenset({"control"}),
    "control": frozenset({"sts", "coordinator", "audit"}),
}
"""Who reaches whose peer listener: docs/operations.md, "Services apart"."""

CONFINED: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
PROBES: Final = {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}

_COMPONENT = "app.kubernetes.io/component"
_IMAGE = re.compile(r"[a-z0-9][a-z0-9.:/_-]*/(?P<name>[a-z]+)@sha256:[0-9a-f]{64}")
_SECRET_SETTING = re.compile(r"PASSWORD|TOKEN|SECRET|CREDENTIAL|PRIVATE_KEY|DATABASE_URL")
_MAKES_VALUES = re.compile(
    r"stringData|b64enc|htpasswd|\blookup\b|\brand[A-Z]\w+|\bgen[A-Z]\w+|encryptAES|kind:\s*Secret"
)
_SETTING_ROW = re.compile(r"^\| `CARACAL_([A-Z_]+)` \|", re.MULTILINE)
_CHECKOV = Path(".venv/tools/checkov/bin/checkov")


def stored_renderings_are_current(root: Path) -> Sequence[str]:
    """The stored renderings were made of the chart and the values that stand beside them."""
    return [
        f"{case}: the chart or its values changed: python -m tools.chart --write"
        for case in chart.cases(root)
        if chart.stored(root, case)[0] != chart.digest(root, case)
    ]


def helm_renders_what_is_stored(root: Path) -> Sequence[str]:
    """A real helm renders the chart, strictly linted, to what is stored."""
    try:
        helm = chart.find_helm()
    except chart.NoHelm as reason:
        raise NotRunHere(str(reason)) from None
    wrong = []
    for case in chart.cases(root):
        values = root / chart.VALUES / f"{case}.yaml"
        linted = subprocess.run(
            [helm, "lint", "--strict", "--quiet", root / chart.CHART, "--values", values],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if linted.returncode:
            wrong.append(f"{case}: {(linted.stdout + linted.stderr).strip()}")
            continue
        if not same(chart.render(helm, root, case), chart.stored(root, case)[1]):
            wrong.append(f"{case}: helm renders something else than what is stored")
    return wrong


def manifests_are_valid(root: Path) -> Sequence[str]:
    """Every rendered object is one that Kubernetes knows, with no field that it does not."""
    wrong = []
    for one in manifests(root):
        try:
            kubernetes_validate.validate(dict(one.content), KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as fault:
            wrong.append(f"{one.place}: {fault.message}")
        except kubernetes_validate.SchemaNotFoundError:
            wrong.append(f"{one.place}: Kubernetes {KUBERNETES} has no such kind")
    return wrong


def pods_are_confined(root: Path) -> Sequence[str]:
    """Every container runs as user 65532, its root read-only, with no capability and no account token."""
    return [finding for one in workloads(root) for finding in _unconfined(one)]


def _unconfined(one: Manifest) -> Iterator[str]:
    pod = one.pod
    if pod.get("automountServiceAccountToken") is not False:
        yield f"{one.place}: has an account token"
    if pod.get("enableServiceLinks") is not False:
        yield f"{one.place}: gets variables named after Services, which read as settings"
    for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.get(field):
            yield f"{one.place}: {field}"
    if any("hostPath" in volume for volume in pod.get("volumes", ())):
        yield f"{one.place}: mounts a path of the node"
    for container in one.containers:
        context = container.get("securityContext", {})
        for field in sorted(CONFINED.keys() | context.keys()):
            if context.get(field) != CONFINED.get(field):
                yield f"{one.place}: {field} is {context.get(field)!r}"


def pods_are_looked_after(root: Path) -> Sequence[str]:
    """Every process has probes on the real paths, bounded resources, and a disruption budget of its own."""
    found = manifests(root)
    processes = [one for one in found if one.kind in WORKLOADS]
    wrong = [text for one in processes for text in _neglected(one)]
    for one in processes:
        budgets = [
            other
            for other in found
            if other.kind == "PodDisruptionBudget"
            and other.case == one.case
            and other.content["spec"]["selector"] == one.content["spec"]["selector"]
        ]
        if len(budgets) != 1:
            wrong.append(f"{one.place}: {len(budgets)} disruption budgets")
    return wrong


def _neglected(one: Manifest) -> Iterator[str]:
    for container in one.containers:
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        for probe, path in PROBES.items():
            asked = container.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or asked.get("port") not in ports.keys() - {"peer"}:
                yield f"{one.place}: no {probe} at {path} of a port that it listens on"
        for bound in ("requests", "limits"):
            named = container.get("resources", {}).get(bound, {})
            if not {"cpu", "memory"} <= named.keys():
                yield f"{one.place}: its {bound} do not bound CPU and memory"


def images_are_by_digest(root: Path) -> Sequence[str]:
    """Every container runs the release's image of its own name, by digest and never by tag."""
    wrong = []
    for one in workloads(root):
        for container in one.containers:
            image = _IMAGE.fullmatch(container["image"])
            if image is None or image["name"] != one.component:
                wrong.append(f"{one.place}: runs {container['image']}")
    return wrong


def network_is_closed(root: Path) -> Sequence[str]:
    """What is not declared is denied, and the flows between services are exactly those that they need."""
    wrong = []
    found = manifests(root)
    for case in sorted({one.case for one in found}):
        policies = [one for one in found if one.case == case and one.kind == "NetworkPolicy"]
        everything = [
            one for one in policies
            if _COMPONENT not in one.content["spec"]["podSelector"]["matchLabels"]
            and set(one.content["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            and not {"ingress", "egress"} & one.content["spec"].keys()
        ]  # fmt: skip
        if len(everything) != 1:
            wrong.append(f"{case}: nothing denies what is not declared")
        for one in policies:
            wrong += _open_rules(one)
            wrong += _undeclared_peers(one)
    return wrong


def _open_rules(one: Manifest) -> Iterator[str]:
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in one.content["spec"].get(direction) or ():
            if not rule.get(side) or not rule.get("ports"):
                yield f"{one.place}: a rule of {direction} names no peer or no port"
            if any(not peer for peer in rule.get(side) or ()):
                yield f"{one.place}: a rule of {direction} is for everybody"


def _undeclared_peers(one: Manifest) -> Iterator[str]:
    if one.component not in ASKS:
        return
    reached = _peers_in(one.content["spec"].get("egress") or (), "to")
    asked_by = _peers_in(one.content["spec"].get("ingress") or (), "from")
    if reached != ASKS[one.component]:
        yield f"{one.place}: reaches {sorted(reached)}"
    if asked_by != {name for name, asks in ASKS.items() if one.component in asks}:
        yield f"{one.place}: is reached by {sorted(asked_by)}"


def _peers_in(rules: Sequence[Object], side: str) -> set[str]:
    labels = (
        peer.get("podSelector", {}).get("matchLabels", {}) for rule in rules for peer in rule[side]
    )
    return {str(one[_COMPONENT]) for one in labels if _COMPONENT in one}


def secrets_are_references(root: Path) -> Sequence[str]:
    """The chart names Secrets that exist; it makes none, holds none, and puts none into an environment."""
    wrong = [
        f"{file.name}: makes or looks up a value: {found[0]}"
        for file in sorted((root / chart.CHART / "templates").iterdir())
        if (found := _MAKES_VALUES.search(file.read_text()))
    ]
    for one in workloads(root):
        for container in one.containers:
            if "envFrom" in container:
                wrong.append(f"{one.place}: takes a whole Secret or ConfigMap as environment")
            for variable in container.get("env", ()):
                name = str(variable["name"])
                secret = "valueFrom" in variable or _SECRET_SETTING.search(name)
                if secret and not name.endswith("_FILE"):
                    wrong.append(f"{one.place}: {name} is in the environment")
    return wrong


def values_are_checked(root: Path) -> Sequence[str]:
    """The values' schema refuses what is unknown or unfinished, and knows the settings as documented."""
    schema = json.loads((root / chart.CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    wrong = [f"values.schema.json: {place} is open" for place in _open_objects(schema, "values")]
    documented = set(_SETTING_ROW.findall((root / "docs/operations.md").read_text()))
    known = set(schema["properties"]["settings"]["properties"])
    from_elsewhere = {
        name for name in documented
        if name in {"ISSUER", "UNSAFE_PEER_NO_TLS"} or name.endswith("_FILE")
        or name.startswith("PEER_") or _operates(root, name)
    }  # fmt: skip
    if known != documented - from_elsewhere:
        wrong.append(
            f"settings: {sorted(known ^ (documented - from_elsewhere))} differ from the page"
        )
    defaults = yaml.safe_load((root / chart.CHART / "values.yaml").read_text())
    validator = jsonschema.Draft7Validator(schema)
    if validator.is_valid(defaults):
        wrong.append("values.yaml: installs without being told which image and issuer")
    for case in chart.cases(root):
        values = yaml.safe_load((root / chart.VALUES / f"{case}.yaml").read_text())
        wrong += [
            f"{case}: {fault.json_path}: {fault.message}"
            for fault in validator.iter_errors(_merged(defaults, values))
        ]
    return wrong


def _operates(root: Path, name: str) -> bool:
    """Whether the command line reads a variable, and no service does."""
    page = (root / "docs/operations.md").read_text()
    _, _, after = page.partition("The command line reads these where it runs:")
    return f"`CARACAL_{name}`" in after.partition("## ")[0]


def _open_objects(schema: Any, place: str) -> Iterator[str]:
    """Objects that take any field; those of Kubernetes' own making and of other charts are left to them."""
    if not isinstance(schema, dict):
        return
    left_to_others = "minProperties" in schema or place.endswith(".global")
    is_open = schema.get("type") == "object" and "additionalProperties" not in schema
    if is_open and not left_to_others:
        yield place
    for name, part in schema.items():
        yield from _open_objects(part, f"{place}.{name}")


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for name, value in given.items():
        nested = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if nested else value
    return merged


def checkov_finds_nothing(root: Path) -> Sequence[str]:
    """Checkov's rules for Kubernetes find nothing in any rendering, with no rule left out."""
    tool = Path(__file__).parents[2] / _CHECKOV
    if not tool.exists():
        raise NotRunHere("no checkov: make assurance installs it")
    with tempfile.TemporaryDirectory() as folder:
        for case in chart.cases(root):
            text = "---\n".join(
                yaml.safe_dump(one.content) for one in manifests(root) if one.case == case
            )
            (Path(folder) / f"{case}.yaml").write_text(text)
        ran = subprocess.run(
            [tool, "--directory", folder, "--framework", "kubernetes", "--skip-download",
             "--quiet", "--compact", "--output", "json"],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    report = json.loads(ran.stdout)
    results = report["results"]
    wrong = [
        f"{one['file_path']}: {one['resource']}: {one['check_id']} {one['check_name']}"
        for one in [*results["failed_checks"], *results.get("skipped_checks", ())]
    ]
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        wrong.append("checkov could not read what was rendered")
    return wrong
