from pathlib import Path

from tests.assurance.plants.editing import replace

PAGE = "docs/evidence.md"


def _root_is_not_compared(root: Path) -> None:
    replace(root, PAGE, "assert last == 0 and value == b64decode(root)", "assert True")


def _signature_is_not_verified(root: Path) -> None:
    replace(root, PAGE, "    check=True,\n    stdout", "    check=False,\n    stdout")


def _genuine_ones_are_refused(root: Path) -> None:
    replace(root, PAGE, 'digest(b"\\0", entry)', 'digest(b"\\1", entry)')


def _no_script(root: Path) -> None:
    replace(root, PAGE, "```python", "```text")


PLANTS = {
    "page_verifies_receipts_without_us": (
        _root_is_not_compared,
        _signature_is_not_verified,
        _genuine_ones_are_refused,
        _no_script,
    ),
}
