"""What is wrong with a zone document, and where: every fault at once, each with its path."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_SHOWN: Final = 3
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct. The message names the limit and what to do, and never holds a secret."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{render_path(self.path)}: {self.message}"


class ZoneDocumentInvalid(ValueError):
    """The document can not be a zone; `faults` says why, at least one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        super().__init__("; ".join(map(str, self.faults[:_SHOWN])) + more)


def render_path(path: Path) -> str:
    """Write a path as people read it, such as `resources[0].operations["GET /orders"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text or "the document"
