"""The register itself."""

from collections.abc import Sequence
from pathlib import Path

from assurance import page
from assurance.register import RegisterFault, load


def page_is_current(root: Path) -> Sequence[str]:
    """The readiness page says exactly what the register says."""
    try:
        expected = page.render(load(root / "assurance" / "controls"))
    except (RegisterFault, LookupError) as fault:
        return [str(fault)]
    written = root / page.PATH
    if not written.exists() or written.read_text() != expected:
        return [f"{page.PATH} differs from the register: make assurance ARGS=--write"]
    return []
