"""Build what a tree releases, with its bills: `python -m assurance.built TREE INTO CACHE [IMAGES]`.

It is run in the tree, so that the tree's own code does it. The bills are written twice, the second time
into `INTO-again`: whatever is not the same was not made from the artifacts alone. IMAGES is an archive of
images that were built before.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from caracal_server.release.manifest import Image, Kind
from distribution import source
from distribution.artifacts import FAST, Built, Workplace, build
from distribution.layers import open_archive
from distribution.release import finish

EPOCH = 1767225600
COMMIT = "0" * 40


def main() -> None:
    tree, into, cache, *images = map(Path, sys.argv[1:])
    with source.as_it_is(tree, EPOCH) as taken:
        named = replace(taken, commit=COMMIT)
        built = _take(images[0], into) if images else build(named, FAST, Workplace(into, cache))
        finish(named, into, built.files, built.images)
        again = into.with_name(f"{into.name}-again")
        shutil.copytree(into, again)
        files = {again / file.name: kind for file, kind in built.files.items()}
        finish(named, again, files, built.images)


def _take(images: Path, into: Path) -> Built:
    into.mkdir(parents=True)
    archive = Path(shutil.copy(images, into / "images.tar"))
    found = [
        Image(one.name, "linux/amd64", one.digest, archive.name) for one in open_archive(archive)
    ]
    return Built({archive: Kind.IMAGES}, found)


if __name__ == "__main__":
    main()
