"""Making the lock of Debian packages anew, from indexes whose signatures apt has verified."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distribution.debian import Configured, Package, configured_sources
from distribution.faults import CannotBuild

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITE = "trixie"
ARCHITECTURE = "amd64"
WANTED = (
    "base-files", "ca-certificates", "libbz2-1.0", "libc6", "libexpat1", "libffi8", "libgcc-s1",
    "liblzma5", "libpython3.13-minimal", "libpython3.13-stdlib", "libsqlite3-0", "libssl3t64",
    "libstdc++6", "libuuid1", "libzstd1", "python3.13-minimal", "zlib1g",
)  # fmt: skip
"""What the interpreter and the wheels load; nothing is added because a package asks for it."""


def write_lock(file: Path) -> None:
    """Take the newest version of each package that this machine's mirrors have.

    Raises:
        CannotBuild: there is no apt, no mirror, or no such package.
    """
    lines = ["# Made by `make lock-images`: versions and hashes, never the address of a mirror."]
    lines += [f'suite = "{SUITE}"', f'architecture = "{ARCHITECTURE}"']
    for package in newest():
        lines += ["", "[[package]]"]
        lines += [f'{name} = "{getattr(package, name)}"' for name in Package.__struct_fields__]
    file.write_text("\n".join(lines) + "\n")


def newest() -> list[Package]:
    """What the lock would say if it were made now."""
    with _apt(configured_sources()) as apt:
        return [_newest(apt, name) for name in WANTED]


@contextmanager
def _apt(sources: list[Configured]) -> Iterator[list[str]]:
    """An apt of our own suite, with its own state, that has fetched the indexes."""
    with tempfile.TemporaryDirectory(prefix="caracal-apt-") as folder:
        own = Path(folder)
        for name in ("sources", "state/lists/partial", "cache/archives/partial"):
            (own / name).mkdir(parents=True)
        (own / "status").touch()
        stanzas = {_stanza(source) for source in sources}
        (own / "sources/own.sources").write_text("\n\n".join(sorted(stanzas)) + "\n")
        settings = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": own / "sources",
            "Dir::State": own / "state",
            "Dir::State::status": own / "status",
            "Dir::Cache": own / "cache",
            "APT::Architecture": ARCHITECTURE,
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
        }
        options = [f"--option={name}={value}" for name, value in settings.items()]
        got = subprocess.run(
            ["apt-get", *options, "update"], capture_output=True, text=True, check=False
        )
        if got.returncode:
            raise CannotBuild(f"apt can not fetch the indexes of {SUITE}: {got.stderr.strip()}")
        yield options


def _stanza(source: Configured) -> str:
    """The same archive, with the part of its suite's name that says which release replaced."""
    _, hyphen, pocket = source.suite.partition("-")
    lines = (
        "Types: deb",
        f"URIs: {source.address}",
        f"Suites: {SUITE}{hyphen}{pocket}",
        "Components: main",
        f"Signed-By: {KEYRING}",
    )
    return "\n".join(lines)


def _newest(apt: list[str], name: str) -> Package:
    command = ["apt-cache", *apt, "show", "--no-all-versions", name]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    fields = dict(
        line.split(": ", 1)
        for line in shown.stdout.splitlines()
        if not line.startswith(" ") and ": " in line
    )
    try:
        return Package(
            name, fields["Version"], fields["Architecture"], fields["SHA256"], fields["Filename"]
        )
    except KeyError:
        raise CannotBuild(f"no mirror of this machine has {name} in {SUITE}") from None
