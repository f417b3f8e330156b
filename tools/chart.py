"""Render the Helm chart with a real helm: what the renderings in `tests/deploy/rendered` come from.

Usage: python -m tools.chart [--build-helm] [--write]
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.repository import ROOT

HELM_VERSION = "v4.3.1"
HELM_MODULE = "helm.sh/helm/v4/cmd/helm"
CACHE = Path("~/.cache/caracal/tools").expanduser()
CHART = Path("deploy/helm/caracal")
VALUES = Path("tests/deploy/values")
RENDERED = Path("tests/deploy/rendered")
RELEASE = "example"
NAMESPACE = "caracal"
STAMP = "# Rendered by `python -m tools.chart --write`, of chart and values with the digest "


class NoHelm(Exception):
    """There is no helm on this machine; the message says how to get one."""


def find_helm() -> Path:
    """The helm that was built here, or the one on the path.

    Raises:
        NoHelm: there is neither.
    """
    built = CACHE / f"helm-{HELM_VERSION}"
    found = built if built.is_file() else shutil.which("helm")
    if found is None:
        raise NoHelm("no helm: make deploy-check builds one where there is a Go toolchain")
    return Path(found)


def build_helm() -> Path:
    """Build helm from its module, once: about five minutes on two cores.

    Raises:
        NoHelm: there is no Go toolchain.
        subprocess.CalledProcessError: it could not be built.
    """
    go = shutil.which("go")
    if go is None:
        raise NoHelm("no helm, and no Go toolchain to build one with")
    CACHE.mkdir(parents=True, exist_ok=True)
    settings = {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        subprocess.run(
            [go, "install", "-trimpath", "-ldflags=-s -w", f"{HELM_MODULE}@{HELM_VERSION}"],
            env=os.environ | settings | {"GOBIN": folder},
            cwd=folder,
            check=True,
        )
        return (Path(folder) / "helm").rename(CACHE / f"helm-{HELM_VERSION}")


def cases(root: Path) -> list[str]:
    """The names of the sets of values that the chart is rendered with."""
    return sorted(file.stem for file in (root / VALUES).glob("*.yaml"))


def digest(root: Path, case: str) -> str:
    """What a rendering depends on, as one number."""
    files = sorted(
        file
        for file in (root / CHART).rglob("*")
        if file.is_file() and file.name not in {"values.schema.json", "NOTES.txt"}
    )
    total = hashlib.sha256()
    for file in (*files, root / VALUES / f"{case}.yaml"):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root)} {content}\n".encode())
    return total.hexdigest()


def render(helm: Path, root: Path, case: str) -> str:
    """Render the chart as `helm install` would.

    Raises:
        ValueError: helm refuses the chart or the values; the message says why.
    """
    done = subprocess.run(
        [helm, "template", RELEASE, root / CHART, "--namespace", NAMESPACE,
         "--values", root / VALUES / f"{case}.yaml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return done.stdout


def stored(root: Path, case: str) -> tuple[str, str]:
    """The digest that a stored rendering was made of, and the rendering."""
    file = root / RENDERED / f"{case}.yaml"
    first, _, rest = file.read_text().partition("\n") if file.exists() else ("", "", "")
    return first.removeprefix(STAMP), rest


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--build-helm", action="store_true", help="where there is none")
    options.add_argument("--write", action="store_true", help="store the renderings")
    given = options.parse_args()
    try:
        helm = find_helm()
    except NoHelm as reason:
        if not given.build_helm:
            print(reason, file=sys.stderr)
            return 1
        helm = build_helm()
    for case in cases(ROOT):
        text = render(helm, ROOT, case)
        if given.write:
            content = f"{STAMP}{digest(ROOT, case)}\n{text}"
            (ROOT / RENDERED / f"{case}.yaml").write_text(content)
        print(f"{case}: {text.count('kind: ')} objects")
    return 0


if __name__ == "__main__":
    sys.exit(main())
