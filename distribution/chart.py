"""The archive of the Helm chart."""

from pathlib import Path

import yaml

from distribution.faults import CannotBuild
from distribution.packed import Entry, gzipped, tar, with_parents
from distribution.source import Source

CHART = Path("deploy/helm/caracal")


def build(source: Source, into: Path) -> Path:
    """Pack the chart as Helm expects it: everything below a folder of the chart's name.

    Raises:
        CannotBuild: there is no chart, or it is of another version.
    """
    folder = source.root / CHART
    if not (folder / "Chart.yaml").exists():
        raise CannotBuild(f"there is no {CHART}/Chart.yaml")
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    if about["version"] != source.version or str(about["appVersion"]) != source.version:
        raise CannotBuild(f"the chart is not of version {source.version}, as the package is")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [
        Entry(f"caracal/{path.relative_to(folder)}", data=path.read_bytes()) for path in files
    ]
    archive = into / f"caracal-chart-{source.version}.tgz"
    archive.write_bytes(gzipped(tar(with_parents(entries), source.epoch)))
    return archive
