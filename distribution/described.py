"""What a bill of materials is about."""

from dataclasses import dataclass
from datetime import UTC, datetime

from caracal_server.release.manifest import Kind

_TYPES = {Kind.WHEEL: "library", Kind.SDIST: "library", Kind.CLI: "application"}
_PURPOSES = {
    Kind.WHEEL: "LIBRARY",
    Kind.SDIST: "SOURCE",
    Kind.CLI: "APPLICATION",
    Kind.CONSOLE: "ARCHIVE",
    Kind.CHART: "ARCHIVE",
    Kind.IMAGES: "CONTAINER",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A file or an image; `sha256` is the file's, or that of the image's manifest; `epoch` in seconds."""

    name: str
    kind: Kind
    version: str
    sha256: str
    epoch: int

    @property
    def made_at(self) -> str:
        """The time stamp that goes into a bill: the commit's."""
        return datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def contains(self) -> bool:
        """Whether it carries its components, rather than have them installed with it."""
        return self.kind not in {Kind.WHEEL, Kind.SDIST}

    @property
    def cyclonedx_type(self) -> str:
        return "container" if self.kind is Kind.IMAGES else _TYPES.get(self.kind, "file")

    @property
    def spdx_purpose(self) -> str:
        return _PURPOSES[self.kind]
