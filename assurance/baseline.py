"""What the checks found of a tree, kept for whoever wants to know it again of the very same tree.

The tests hold each check to a planted violation, and have to know what it finds without. A run of all
checks has just told, most of the time.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import msgspec

from assurance.results import Verdict
from tools.repository import repository_files

_FILE = Path(".venv/assurance.json")


class _Kept(msgspec.Struct, frozen=True):
    tree: str
    wrong: dict[str, tuple[str, ...]]


def keep(root: Path, verdicts: Iterable[Verdict]) -> None:
    """Remember what was found; a check that was skipped found nothing that could be relied on."""
    results = [result for verdict in verdicts for result in verdict.results]
    wrong = {one.check: one.wrong for one in results if not one.skipped}
    if (root / _FILE).parent.is_dir():
        (root / _FILE).write_bytes(msgspec.json.encode(_Kept(_digest(root), wrong)))


def kept(root: Path) -> dict[str, tuple[str, ...]]:
    """What is remembered of exactly these files; nothing if they changed."""
    try:
        found = msgspec.json.decode((root / _FILE).read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return {}
    return found.wrong if found.tree == _digest(root) else {}


def _digest(root: Path) -> str:
    """SHA-256 over every file of the repository, its name and its mode."""
    digest = sha256()
    for file in sorted(repository_files(root)):
        content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
        head = f"{file.relative_to(root)}\0{file.lstat().st_mode:o}\0{len(content)}\0"
        digest.update(head.encode() + content)
    return digest.hexdigest()
