"""A small release with every kind of artifact, made by the real parts and signed by a Sigstore of our own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import msgspec

from caracal_server.release import provenance, sums
from caracal_server.release.identity import Builder, Expected
from caracal_server.release.manifest import MANIFEST, Artifact, Image, Kind, Manifest
from caracal_server.release.sums import BUNDLE, SUMS
from caracal_server.release.verification import Report, Trust, verify
from caracal_server.release.versions import Wanted
from distribution import oci
from distribution.bills import write_bills
from distribution.packed import Entry, gzipped, tar, with_parents, zipped
from tests.support.sigstore import Sigstore, Workflow

EPOCH = 1_767_225_600
VERSION = "1.2.3"
PACKAGES = "usr/local/lib/python3.13/dist-packages"

PINS = {"httpx": "0.28.1", "typing-extensions": "4.16.0"}
ZLIB = "Package: zlib1g\nVersion: 1:1.3.dfsg+really1.3.1-1\nArchitecture: amd64\nDescription: zlib\n more\n"
DEBIAN_LOCK = """\
suite = "trixie"
architecture = "amd64"

[[package]]
name = "zlib1g"
version = "1:1.3.dfsg+really1.3.1-1"
architecture = "amd64"
sha256 = "00"
path = "pool/zlib1g.deb"
"""


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n\nText.\n".encode()


def wheel(name: str, version: str) -> bytes:
    """A wheel with nothing but a module, which pip installs."""
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    tags = b"Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        f"{module}/__init__.py": f'VERSION = "{version}"\n'.encode(),
        f"{about}/METADATA": metadata(name, version),
        f"{about}/WHEEL": tags,
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    return zipped({**files, f"{about}/RECORD": record.encode()}, EPOCH)


def sdist(version: str, source: Path) -> bytes:
    """An sdist that holds what the installer reads: the lock."""
    lock = (source / "requirements/image.txt").read_bytes()
    entries = [Entry(f"caracal-{version}/requirements/image.txt", data=lock)]
    return gzipped(tar(with_parents(entries), EPOCH))


def installed(version: str) -> dict[str, bytes]:
    """What a place looks like where the locked distributions and Caracal are installed."""
    return {
        f"{name.replace('-', '_')}-{pinned}.dist-info/METADATA": metadata(name, pinned)
        for name, pinned in {**PINS, "caracal": version}.items()
    }


def source_tree(root: Path) -> Path:
    """The locks that the release was built from."""
    lines = [
        f"{name}=={version} \\\n    --hash=sha256:{sha256(wheel(name, version)).hexdigest()}\n"
        for name, version in PINS.items()
    ]
    lines.append(f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:{'0' * 64}\n")
    for lock in ("requirements/cli.txt", "requirements/image.txt"):
        (root / lock).parent.mkdir(parents=True, exist_ok=True)
        (root / lock).write_text("".join(lines))
    (root / "distribution").mkdir()
    (root / "distribution/debian.lock.toml").write_text(DEBIAN_LOCK)
    return root


@dataclass
class LocalRelease:
    """A release in a directory, and everything it takes to change it and to sign it again."""

    dist: Path
    source: Path
    sigstore: Sigstore = field(default_factory=Sigstore)
    version: str = VERSION
    workflow: Workflow = field(default_factory=Workflow)

    @property
    def trust_root(self) -> Path:
        file = self.source / "trusted_root.json"
        if not file.exists():
            file.write_bytes(self.sigstore.trusted_root())
        return file

    @property
    def manifest(self) -> Manifest:
        return msgspec.json.decode((self.dist / MANIFEST).read_bytes(), type=Manifest)

    def path(self, kind: Kind) -> Path:
        return self.dist / next(one.name for one in self.manifest.artifacts if one.kind is kind)

    def trust(self, **wanted: object) -> Trust:
        expected = Expected(Workflow().repository)
        return Trust(expected, self.trust_root, Wanted(**(wanted or {"exactly": self.version})))

    def verify(self, **wanted: object) -> Report:
        return verify(self.dist, self.trust(**wanted))

    def builder(self) -> Builder:
        run = self.workflow
        return Builder(run.issuer, run.repository, run.path, run.ref, run.commit)

    def statement(self) -> bytes:
        release = sums.open_release(self.dist)
        return provenance.state(
            provenance.subjects_of(release), self.builder(), "run 1", epoch=EPOCH
        )

    def list_again(self) -> None:
        """Write the manifest and the sums for what the directory holds now: whoever tampers can do that."""
        old = self.manifest
        found = {one.name: one for one in old.artifacts}
        artifacts = [
            msgspec.structs.replace(
                one, sha256=digest(self.dist / name), size=(self.dist / name).stat().st_size
            )
            for name, one in found.items()
        ]
        (self.dist / MANIFEST).write_bytes(
            msgspec.json.encode(msgspec.structs.replace(old, artifacts=tuple(artifacts)))
        )
        self.sum_again()

    def sum_again(self) -> None:
        names = sorted(
            file.name
            for file in self.dist.iterdir()
            if file.name not in {SUMS, BUNDLE} and not file.name.endswith(".publish.attestation")
        )
        lines = [f"{digest(self.dist / name)}  {name}\n" for name in names]
        (self.dist / SUMS).write_text("".join(lines))

    def sign_again(self, **how: object) -> None:
        """Sign what is there now, by the workflow that this release says built it."""
        (self.dist / BUNDLE).write_bytes(self.sigstore.sign(self.statement(), self.workflow, **how))

    def edit_bundle(self, edit: Callable[[dict], None]) -> None:
        bundle = json.loads((self.dist / BUNDLE).read_text())
        edit(bundle)
        (self.dist / BUNDLE).write_text(json.dumps(bundle))

    def edit_statement(self, edit: Callable[[dict], None]) -> None:
        """Sign, with the right identity, a statement that says something else."""
        statement = json.loads(self.statement())
        edit(statement)
        signed = self.sigstore.sign(json.dumps(statement).encode(), self.workflow)
        (self.dist / BUNDLE).write_bytes(signed)


def digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def image_archive(version: str) -> tuple[bytes, dict[str, str]]:
    files = {f"{PACKAGES}/{name}": data for name, data in installed(version).items()}
    files["var/lib/dpkg/status.d/zlib1g"] = ZLIB.encode()
    layer = oci.layer([Entry(path, data=data) for path, data in files.items()], EPOCH, "a test")
    images = [
        oci.Image(name, ["/bin/x"], [name], 65532, [8080], ["/tmp"], "/", [layer])
        for name in ("caracal", "gateway")
    ]
    layout, digests = oci.layout(images, EPOCH)
    return tar(
        with_parents(Entry(path, data=data) for path, data in layout.items()), EPOCH
    ), digests


def build(folder: Path, version: str = VERSION, sigstore: Sigstore | None = None) -> LocalRelease:
    dist, source = folder / "dist", source_tree(folder / "source")
    dist.mkdir()
    archive, digests = image_archive(version)
    files: Mapping[tuple[str, Kind], bytes] = {
        (f"caracal-{version}-py3-none-any.whl", Kind.WHEEL): wheel("caracal", version),
        (f"caracal-{version}.tar.gz", Kind.SDIST): sdist(version, source),
        (f"caracal-{version}-linux-x86_64.pyz", Kind.CLI): zipped(installed(version), EPOCH),
        (f"caracal-{version}-images-linux-amd64.tar", Kind.IMAGES): archive,
        (f"caracal-chart-{version}.tgz", Kind.CHART): b"a chart of %s" % version.encode(),
    }
    for (name, _), content in files.items():
        (dist / name).write_bytes(content)
    workflow = replace(Workflow(), ref=f"refs/tags/v{version}")
    manifest = Manifest(
        "caracal-release/1",
        version,
        workflow.commit,
        EPOCH,
        tuple(
            Artifact(name, kind, digest(dist / name), len(data))
            for (name, kind), data in files.items()
        ),
        tuple(
            Image(name, "linux/amd64", at, f"caracal-{version}-images-linux-amd64.tar")
            for name, at in sorted(digests.items())
        ),
    )
    bills = tuple(
        Artifact(file.name, Kind.SBOM, digest(file), file.stat().st_size)
        for file in write_bills(dist, manifest, source)
    )
    complete = msgspec.structs.replace(manifest, artifacts=(*manifest.artifacts, *bills))
    (dist / MANIFEST).write_bytes(msgspec.json.encode(complete))
    release = LocalRelease(dist, source, sigstore or Sigstore(), version, workflow)
    release.sum_again()
    release.sign_again()
    return release
