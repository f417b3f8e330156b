"""Small text files, some of which only their owner may get at."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says, or what is wrong with it; whether others than its owner can get at it."""

    text: str = field(default="", repr=False)
    problem: str = ""
    shared: bool = False


def read_text(path: Path, limit: int) -> Text:
    try:
        # Without waiting: a pipe that nobody writes to is no reason to hang.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                return Text(problem=f"{path} is not a file")
            data = file.read(limit + 1)
    except OSError as error:
        return Text(problem=f"{path}: {error.strerror}")
    if len(data) > limit:
        return Text(problem=f"{path} has more than {limit} bytes")
    try:
        return Text(data.decode(), shared=os.name == "posix" and bool(mode & _OTHERS))
    except UnicodeDecodeError:
        return Text(problem=f"{path} is not UTF-8")
