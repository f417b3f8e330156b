"""Changing a file of a copied repository, and seeing to it that something changed."""

from pathlib import Path


def replace(root: Path, name: str, before: str, after: str) -> None:
    file = root / name
    text = file.read_text()
    assert before in text, f"{name} has no {before!r}"
    file.write_text(text.replace(before, after, 1))


def append(root: Path, name: str, text: str) -> None:
    file = root / name
    file.write_text(file.read_text() + text)
