"""The root file system of the images: an interpreter, what it loads, and nothing else to run."""

import re
from collections.abc import Iterable, Iterator, Sequence

from distribution.debian import DebianLock, contents, control
from distribution.packed import Entry, Kind, folder, link

PYTHON = "3.13"
INTERPRETER = f"usr/bin/python{PYTHON}"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
USER = 65532
STATE = "var/lib/caracal"
WRITABLE = (STATE, "tmp")
"""The only folders that the user owns; the rest is root's, and is meant to be mounted read-only."""

BUNDLE = "etc/ssl/certs/ca-certificates.crt"

_LIBRARY = f"usr/lib/python{PYTHON}"
_KEPT = re.compile(
    rf"""etc/(debian_version|python{PYTHON}(/.*)?)
    |{INTERPRETER}
    |usr/lib/os-release
    |usr/lib64(/.*)?
    |{LIBRARIES}(/[^/]+\.so[^/]*)?
    |{LIBRARIES}/(ossl-modules|engines-3)(/.*)?
    |{_LIBRARY}(/.*)?
    |usr/share/doc/[^/]+/copyright
    |usr/share/common-licenses/.*""",
    re.VERBOSE,
)
_LEFT_OUT = re.compile(
    rf"""{_LIBRARY}/(ensurepip|idlelib|pydoc_data|test|tkinter|turtledemo|venv)(/.*)?
    |{_LIBRARY}/lib-dynload/(_curses|_curses_panel|_dbm|_gdbm|readline)\.[^/]*
    |{LIBRARIES}/(libpcprofile|libmemusage|libc_malloc_debug|libnss_(compat|hesiod))\.so.*""",
    re.VERBOSE,
)


def root_file_system(lock: DebianLock, packages: Sequence[bytes]) -> list[Entry]:
    """What the lowest layer holds."""
    entries: list[Entry] = []
    certificates: list[Entry] = []
    for locked, package in zip(lock.package, packages, strict=True):
        entries.append(
            Entry(f"var/lib/dpkg/status.d/{locked.name}", data=control(package).encode())
        )
        for entry in contents(package):
            if entry.path.startswith("usr/share/ca-certificates/mozilla/"):
                certificates.append(entry)
            elif _KEPT.fullmatch(entry.path) and not _LEFT_OUT.fullmatch(entry.path):
                entries.append(_plain(entry))
    return [*entries, *_configuration(certificates)]


def _plain(entry: Entry) -> Entry:
    """The same, executable only where something must be: the interpreter and its loader."""
    mode = 0o777 if entry.kind is Kind.LINK else 0o644
    if entry.kind is Kind.FOLDER or entry.path in (INTERPRETER, LOADER):
        mode = 0o755
    return Entry(entry.path, entry.kind, entry.data, mode, target=entry.target)


def _configuration(certificates: Iterable[Entry]) -> Iterator[Entry]:
    bundle = b"".join(
        entry.data for entry in sorted(certificates, key=lambda one: one.path) if entry.data
    )
    users = f"root:x:0:0:::\nnonroot:x:{USER}:{USER}::/{STATE}:\n"
    yield Entry("etc/passwd", data=users.encode())
    yield Entry("etc/group", data=f"root:x:0:\nnonroot:x:{USER}:\n".encode())
    yield Entry("etc/nsswitch.conf", data=b"passwd: files\ngroup: files\nhosts: files dns\n")
    yield Entry(BUNDLE, data=bundle)
    yield link("usr/lib/ssl/cert.pem", f"/{BUNDLE}")
    yield link("usr/lib/ssl/certs", "/etc/ssl/certs")
    yield link("etc/os-release", "../usr/lib/os-release")
    for name in ("bin", "sbin", "lib", "lib64"):
        yield link(name, f"usr/{name}")
    for name in ("dev", "proc", "sys", "run", "usr/bin", "usr/sbin", "usr/lib"):
        yield folder(name)
    for name in WRITABLE:
        yield folder(name, 0o700, USER)
