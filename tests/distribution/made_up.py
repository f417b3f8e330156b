"""A small image that breaks no rule, for tests to break."""

import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace

from distribution.layers import OpenedImage
from distribution.packed import Entry, folder, tar, with_parents

EPOCH = 1767225600
INTERPRETER = "usr/bin/python3.13"

IMAGE = OpenedImage(
    name="small",
    digest="",
    config={
        "User": "65532:65532",
        "Entrypoint": [f"/{INTERPRETER}"],
        "Cmd": ["up"],
        "Volumes": {"/tmp": {}, "/var/lib/caracal": {}},
        "Env": ["PATH=/usr/bin"],
    },
    annotations={"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
    layers=(),
)

ENTRIES = (
    Entry(INTERPRETER, data=b"program", mode=0o755),
    Entry("etc/passwd", data=b"nonroot"),
    folder("tmp", 0o700, 65532),
    folder("var/lib/caracal", 0o700, 65532),
)


def image(*more: Entry, without: str = "", **config: object) -> OpenedImage:
    """The small image with more entries in a layer of their own, or with another configuration."""
    kept = [entry for entry in ENTRIES if entry.path != without]
    layers = [tar(with_parents(kept), EPOCH), tar(list(more), EPOCH)]
    return replace(IMAGE, config={**IMAGE.config, **config}, layers=tuple(layers))


def with_member(change: Callable[[tarfile.TarInfo], None]) -> OpenedImage:
    """The small image with one more file, whose header something changes."""
    info = tarfile.TarInfo("etc/changed")
    info.mtime, info.mode = EPOCH, 0o644
    change(info)
    return _with([info])


def with_members(*names: str) -> OpenedImage:
    infos = []
    for name in names:
        info = tarfile.TarInfo(name)
        info.mtime, info.mode = EPOCH, 0o644
        infos.append(info)
    return _with(infos)


def _with(infos: Iterable[tarfile.TarInfo]) -> OpenedImage:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info in infos:
            archive.addfile(info)
    good = image()
    return replace(good, layers=(*good.layers, buffer.getvalue()))
