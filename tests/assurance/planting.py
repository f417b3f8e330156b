"""Violations that are a change of a few words, each named for what it does."""

from collections.abc import Callable
from pathlib import Path

Plant = Callable[[Path], None]


def edited(name: str, path: str, old: str, new: str) -> Plant:
    """A violation that puts other words in the place of some that a file has, wherever it has them."""

    def plant(root: Path) -> None:
        file = root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    plant.__name__ = name
    return plant


def added(name: str, path: str, text: str) -> Plant:
    """A violation that is a file more, or more of a file."""

    def plant(root: Path) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + text)

    plant.__name__ = name
    return plant
