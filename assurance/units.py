"""systemd's unit files, as the checks look at them."""

from pathlib import Path


def read_unit(file: Path) -> dict[str, dict[str, str]]:
    """Read a unit file; what is said twice is joined, as systemd does for lists."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in file.read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section[name] = f"{section[name]} {value}".strip() if name in section else value
    return sections
