"""Making artifacts, all or some, into one folder."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caracal_server.release.manifest import Image, Kind
from distribution import chart, cli_archive, images, python_package
from distribution.debian import configured_sources
from distribution.source import Source

FAST = frozenset({Kind.SDIST, Kind.WHEEL, Kind.CLI, Kind.CHART})
ALL = FAST | {Kind.IMAGES}


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where things are put, and where Debian packages come from.

    Attributes:
        cache: what was downloaded; everything in it is held against a lock before it is used.
        mirrors: addresses of Debian archives; those of this machine's apt when empty.
    """

    into: Path
    cache: Path
    mirrors: Sequence[str] = ()


@dataclass(slots=True)
class Built:
    """The artifacts that were made, and the images among them."""

    files: dict[Path, Kind] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)


def build(source: Source, kinds: Collection[Kind], place: Workplace) -> Built:
    """Make the artifacts of some kinds; the folder holds nothing else afterwards.

    Raises:
        CannotBuild: something they are made of can not be had.
    """
    shutil.rmtree(place.into, ignore_errors=True)
    place.into.mkdir(parents=True)
    sdist, wheel = python_package.build(source, place.into)
    built = Built({sdist: Kind.SDIST, wheel: Kind.WHEEL})
    if Kind.CLI in kinds:
        built.files[cli_archive.build(source, wheel, place.cache, place.into)] = Kind.CLI
    if Kind.CHART in kinds:
        built.files[chart.build(source, place.into)] = Kind.CHART
    if Kind.IMAGES in kinds:
        mirrors = place.mirrors or list(dict.fromkeys(one.address for one in configured_sources()))
        content, digests = images.build(source, wheel, place.cache, mirrors)
        archive = (
            place.into / f"caracal-{source.version}-images-{images.PLATFORM.replace('/', '-')}.tar"
        )
        archive.write_bytes(content)
        built.files[archive] = Kind.IMAGES
        built.images += [
            Image(name, images.PLATFORM, digest, archive.name) for name, digest in digests.items()
        ]
    return built
