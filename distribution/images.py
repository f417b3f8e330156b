"""The images: all services on the same layers, each with its own command."""

from collections.abc import Sequence
from pathlib import Path

from distribution import debian
from distribution.application import PACKAGES, installed
from distribution.bytecode import compiled
from distribution.oci import Image, Layer, layer, layout
from distribution.packed import Entry, tar, with_parents
from distribution.rootfs import INTERPRETER, PYTHON, STATE, USER, WRITABLE, root_file_system
from distribution.source import Source
from distribution.wheels import fetch

PLATFORM = "linux/amd64"
ENTRYPOINT = (f"/{INTERPRETER}", "-I", "-m", "caracal_server.cli")
PORTS = {"sts": 8080, "gateway": 8081, "coordinator": 8082, "audit": 8083, "control": 8084}
PEER_PORTS = {"sts": 9080, "coordinator": 9082, "audit": 9083, "control": 9084}
ALL_IN_ONE = "caracal"

_LIBRARY = f"usr/lib/python{PYTHON}"


def build(
    source: Source, wheel: Path, cache: Path, mirrors: Sequence[str]
) -> tuple[bytes, dict[str, str]]:
    """Build every image; return an OCI archive, and the digest of each image by its name.

    Raises:
        CannotBuild: Debian packages or wheels can not be had, or do not run here.
    """
    layers = _layers(source, wheel, cache, mirrors)
    files, digests = layout(_images(source, layers), source.epoch)
    entries = with_parents(Entry(path, data=content) for path, content in files.items())
    return tar(entries, source.epoch), digests


def _layers(source: Source, wheel: Path, cache: Path, mirrors: Sequence[str]) -> list[Layer]:
    lock = debian.read_lock(source.root / debian.LOCK)
    packages = debian.fetch(lock, cache / "debian", mirrors)
    system = root_file_system(lock, packages)
    wheels = fetch(source.root / "requirements/image.txt", PYTHON, "x86_64", cache)
    dependencies = list(installed(wheels))
    own = list(installed([wheel]))
    everything = [*system, *dependencies, *own]
    extra = compiled(everything, [_LIBRARY, PACKAGES])
    ours = {entry.path.rpartition("/")[0] for entry in own}
    parts = (
        (f"{lock.suite} {lock.architecture} of debian.lock.toml", system, _below(extra, _LIBRARY)),
        ("requirements/image.txt", dependencies, _not_of(ours, _below(extra, PACKAGES))),
        (wheel.name, own, _of(ours, _below(extra, PACKAGES))),
    )
    return [layer([*plain, *more], source.epoch, made_by) for made_by, plain, more in parts]


def _below(entries: Sequence[Entry], folder: str) -> list[Entry]:
    return [entry for entry in entries if entry.path.startswith(f"{folder}/")]


def _of(folders: set[str], entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.path.partition("/__pycache__/")[0] in folders]


def _not_of(folders: set[str], entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.path.partition("/__pycache__/")[0] not in folders]


def _images(source: Source, layers: Sequence[Layer]) -> list[Image]:
    commands: dict[str, Sequence[str]] = {
        ALL_IN_ONE: ("up", *_listening("control", 8080), *_listening("gateway", 8081))
    }
    if '"serve":' in (source.root / "src/caracal_server/cli/program.py").read_text():
        commands |= {name: _serving(name, port) for name, port in PORTS.items()}
    return [_image(source, layers, name, commands[name]) for name in sorted(commands)]


def _serving(name: str, port: int) -> Sequence[str]:
    peers = _listening("peer-listen", PEER_PORTS[name]) if name in PEER_PORTS else ()
    return ("serve", name, *_listening("listen", port), *peers)


def _listening(option: str, port: int) -> tuple[str, str]:
    """In a container every address is the container's own."""
    return f"--{option}", f"0.0.0.0:{port}"


def _image(source: Source, layers: Sequence[Layer], name: str, command: Sequence[str]) -> Image:
    own = [table[name] for table in (PORTS, PEER_PORTS) if name in table]
    return Image(
        name=name,
        entrypoint=ENTRYPOINT,
        command=(*command, "--data", f"/{STATE}"),
        user=USER,
        ports=own or (PORTS["sts"], PORTS["gateway"]),
        writable=[f"/{path}" for path in sorted(WRITABLE)],
        folder=f"/{STATE}",
        layers=layers,
        annotations={
            "org.opencontainers.image.title": name,
            "org.opencontainers.image.version": source.version,
            "org.opencontainers.image.revision": source.commit,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    )
