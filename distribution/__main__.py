"""`make dist`, and what belongs to it."""

import argparse
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from caracal_server.release.manifest import Kind
from distribution import debian, debian_lock, layers, rebuild, smoke, source
from distribution.artifacts import ALL, Workplace, build
from distribution.faults import CannotBuild
from distribution.packed import sha256
from distribution.release import finish
from distribution.source import Source

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build/downloads"


def main() -> int:
    options = _arguments()
    try:
        return int(options.act(options))
    except CannotBuild as fault:
        sys.stderr.write(f"not built: {fault}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m distribution", description=__doc__)
    acts = parser.add_subparsers(required=True)
    make = acts.add_parser("build", help="make the artifacts")
    make.add_argument("--into", type=Path, default=ROOT / "dist")
    make.add_argument("--cache", type=Path, default=CACHE)
    make.add_argument(
        "--only", choices=sorted(ALL), action="append", help="only what is of this kind"
    )
    make.add_argument(
        "--tree", type=Path, help="build this tree as it is, as no release of anything"
    )
    make.add_argument("--epoch", type=int, default=0, help="with --tree: the time of all stamps")
    make.add_argument(
        "--mirror", action="append", default=[], help="a Debian archive, instead of apt's"
    )
    make.set_defaults(act=_build)
    verify = acts.add_parser("verify", help="make everything twice, from two clones, and compare")
    verify.add_argument("--cache", type=Path, default=CACHE)
    verify.add_argument("--only", choices=sorted(ALL), action="append", default=[])
    verify.set_defaults(act=_verify)
    lock = acts.add_parser("lock", help="take the newest Debian packages into the lock")
    lock.set_defaults(act=_lock)
    start = acts.add_parser("smoke", help="run the image of all services, confined; needs root")
    start.add_argument("archive", type=Path)
    start.set_defaults(act=_smoke)
    return parser.parse_args()


def _build(options: argparse.Namespace) -> int:
    kinds = frozenset(Kind(name) for name in options.only) if options.only else ALL
    place = Workplace(options.into.absolute(), options.cache.absolute(), options.mirror)
    with _source(options) as taken:
        built = build(taken, kinds, place)
        if taken.commit and kinds == ALL:
            finish(taken, place.into, built.files, built.images)
    for file in sorted(place.into.iterdir()):
        print(f"{sha256(file.read_bytes())}  {file.stat().st_size:>9}  {file.name}")
    for image in built.images:
        print(f"{image.digest}  {image.name}")
    return 0


def _source(options: argparse.Namespace) -> AbstractContextManager[Source]:
    if options.tree is not None:
        return source.as_it_is(options.tree, options.epoch)
    return source.committed(ROOT)


def _verify(options: argparse.Namespace) -> int:
    return rebuild.verify(ROOT, options.cache.absolute(), options.only)


def _lock(_: argparse.Namespace) -> int:
    debian_lock.write_lock(ROOT / debian.LOCK)
    return 0


def _smoke(options: argparse.Namespace) -> int:
    images = layers.open_archive(options.archive)
    wrong = smoke.findings(images)
    print("\n".join(wrong or [f"{image.digest}  {image.name} runs confined" for image in images]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
