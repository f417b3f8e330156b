"""Import the modules named on the command line, and print what importing them does besides.

Run as a program of its own, since an audit hook stays for as long as its process. It prints a line for each
socket, for each file opened to be written and for each process, and last how much was imported from where.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

FORBIDDEN: Final = (
    "socket.__new__",
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.startfile",
    "os.kill",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "shutil.rmtree",
    "shutil.move",
    "shutil.copyfile",
    "sqlite3.connect",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
    "urllib.Request",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Watch:
    """What was done and by which module, in order; `__call__` is an audit hook."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        written = event == "open" and _writes(*arguments[:3])
        if written or event in FORBIDDEN:
            self.seen.append(f"{_who()} does {event} {arguments[:2]!r}")


def _who() -> str:
    """The module that acts, through whatever of the standard library."""
    frame = sys._getframe(2)  # noqa: SLF001 (what a traceback is made of, without the cost of one)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "__main__"}:
            return name
        frame = frame.f_back
    return "nobody"


def _writes(path: object, mode: object, flags: object) -> bool:
    if path == os.devnull:
        return False
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def main(modules: list[str]) -> int:
    watch = Watch()
    sys.addaudithook(watch)
    places = {str(Path(str(import_module(name).__file__)).resolve()) for name in modules}
    print("\n".join(watch.seen), end="\n" if watch.seen else "")
    print(f"imported {len(places)} modules from {os.path.commonpath(places)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
