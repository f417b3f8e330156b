from pathlib import Path

CHART = "deploy/helm/caracal"


def _edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _everywhere(root: Path, old: str, new: str) -> None:
    """In the chart, which helm renders, and in what it rendered to, which is read where there is no helm."""
    templates = sorted((root / CHART / "templates").iterdir())
    for folder in (templates, sorted((root / "tests/deploy/rendered").iterdir())):
        assert any(old in file.read_text() for file in folder)
        for file in folder:
            file.write_text(file.read_text().replace(old, new))


def _another_default(root: Path) -> None:
    _edit(root, f"{CHART}/values.yaml", "size: 8Gi", "size: 9Gi")


def _another_rendering(root: Path) -> None:
    _edit(root, "tests/deploy/rendered/services.yaml", "maxUnavailable: 1", "maxUnavailable: 2")


def _a_field_that_kubernetes_does_not_know(root: Path) -> None:
    _everywhere(root, "enableServiceLinks: false", "enableServiceLink: false")


def _writable_root(root: Path) -> None:
    _everywhere(root, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")


def _account_token(root: Path) -> None:
    _everywhere(root, "automountServiceAccountToken: false", "automountServiceAccountToken: true")


def _root_user(root: Path) -> None:
    _everywhere(root, "runAsUser: 65532", "runAsUser: 0")


def _a_capability(root: Path) -> None:
    _everywhere(root, "- ALL", "- NET_RAW")


def _links_to_services(root: Path) -> None:
    _everywhere(root, "enableServiceLinks: false", "enableServiceLinks: true")


def _probe_at_no_path(root: Path) -> None:
    _everywhere(root, "path: /ready", "path: /readyz")


def _no_budget(root: Path) -> None:
    _everywhere(root, "kind: PodDisruptionBudget", "kind: LimitRange")


def _by_tag(root: Path) -> None:
    for file in (root / "tests/deploy/rendered").iterdir():
        file.write_text(file.read_text().replace("@sha256:", ":1-"))
    _edit(
        root,
        f"{CHART}/templates/_pods.tpl",
        "@{{ get .root.Values.image.digests .process }}",
        ":{{ .root.Chart.AppVersion }}",
    )


def _no_denial(root: Path) -> None:
    _everywhere(root, "-deny\n", "-deny\n  annotations:\n    example.com/a: b\n")
    for file in (
        (root / CHART / "templates/network.yaml"),
        *(root / "tests/deploy/rendered").iterdir(),
    ):
        text = file.read_text()
        head, found, rest = text.partition("example.com/a: b")
        file.write_text(
            head + found + rest.replace("    - Ingress\n    - Egress", "    - Egress", 1)
        )


def _sts_reaches_the_gateway(root: Path) -> None:
    _edit(root, f"{CHART}/templates/_processes.tpl", "asks: [control]", "asks: [control, sts]")
    _edit(
        root,
        "tests/deploy/rendered/services.yaml",
        "app.kubernetes.io/component: coordinator\n      ports:",
        "app.kubernetes.io/component: audit\n      ports:",
    )


def _admits_everybody(root: Path) -> None:
    _edit(
        root,
        "tests/deploy/rendered/all-in-one-everything.yaml",
        "    - from:\n",
        "    - from: []\n      was:\n",
    )
    _edit(
        root,
        f"{CHART}/templates/network.yaml",
        "- from:\n    {{- toYaml . | nindent 4 }}",
        "- from: []",
    )


def _makes_a_password(root: Path) -> None:
    _edit(
        root,
        f"{CHART}/templates/service-account.yaml",
        "metadata:\n",
        "metadata:\n  annotations:\n    password: {{ randAlphaNum 20 }}\n",
    )


def _secret_in_the_environment(root: Path) -> None:
    _everywhere(root, "- name: CARACAL_ISSUER", "- name: CARACAL_DATABASE_URL")


def _unknown_values_pass(root: Path) -> None:
    _edit(root, f"{CHART}/values.schema.json", '"additionalProperties": false', '"title": "open"')


def _a_setting_that_is_gone(root: Path) -> None:
    _edit(root, "docs/operations.md", "| `CARACAL_DRAIN_SECONDS` |", "| `CARACAL_GRACE` |")


def _installs_without_a_word(root: Path) -> None:
    _edit(root, f"{CHART}/values.yaml", 'issuer: ""', "issuer: https://caracal.example")
    _edit(root, f"{CHART}/values.yaml", 'registry: ""', "registry: registry.example")
    _edit(root, f"{CHART}/values.yaml", 'caracal: ""', f"caracal: sha256:{'0' * 64}")


PLANTS = {
    "stored_renderings_are_current": (_another_default, _writable_root),
    "helm_renders_what_is_stored": _another_rendering,
    "manifests_are_valid": _a_field_that_kubernetes_does_not_know,
    "pods_are_confined": (
        _writable_root,
        _account_token,
        _root_user,
        _a_capability,
        _links_to_services,
    ),
    "pods_are_looked_after": (_probe_at_no_path, _no_budget),
    "images_are_by_digest": _by_tag,
    "network_is_closed": (_no_denial, _sts_reaches_the_gateway, _admits_everybody),
    "secrets_are_references": (_makes_a_password, _secret_in_the_environment),
    "values_are_checked": (_unknown_values_pass, _a_setting_that_is_gone, _installs_without_a_word),
    "checkov_finds_nothing": _root_user,
}
