"""How a vulnerability is reported, and what happens then."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from assurance import security_txt

POLICY: Final = "SECURITY.md"
_EXAMPLE: Final = "https://forge.example/project"
_SECTIONS: Final = {
    "Reporting a vulnerability": ("privately", "security advisory"),
    "What a report contains": ("version", "steps", "attacker"),
    "What happens then": ("answers", "judgement", "critical", "high", "moderate", "low"),
    "Publication": ("advisory", "credit", "90 days"),
    "Safe harbour": ("no legal step", "good faith"),
    "Supported versions": ("latest release",),
    "What counts": ("authority", "evidence", "secret"),
}
_TARGET: Final = re.compile(r"^\| ([^|]+?) \| (\d+) \|$", re.MULTILINE)
_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|mailto:")


def policy_says_what_it_must(root: Path) -> Sequence[str]:
    """SECURITY.md says how to report and with what, and states times, publication and safe harbour."""
    file = root / POLICY
    if not file.is_file():
        return [f"there is no {POLICY} at the root, where forges look for it"]
    text = file.read_text()
    wrong = []
    for name, words in _SECTIONS.items():
        section = _section(text, name)
        if not section:
            wrong.append(f"{POLICY} has no section {name}")
        wrong += [
            f"{POLICY}, {name}: says nothing of {word}"
            for word in words
            if section and word not in section
        ]
    if len(_TARGET.findall(_section(text, "What happens then"))) < len(
        ("answer", "judgement", "fix")
    ):
        wrong.append(f"{POLICY} names no times in days")
    wrong += [f"{POLICY} names an address: {found}" for found in _ADDRESS.findall(text)]
    return wrong


def security_txt_is_current(root: Path) -> Sequence[str]:
    """The security.txt keeps to RFC 9116, leads to the forge's advisory form, and has not expired."""
    source = root / security_txt.SOURCE
    if not source.is_file():
        return [f"there is no {security_txt.SOURCE}"]
    text = source.read_text().replace(security_txt.PLACE, _EXAMPLE)
    found = security_txt.parse(text)
    wrong = security_txt.what_is_wrong(found, datetime.now(UTC))
    if found.values("Contact") != [f"{_EXAMPLE}/security/advisories/new"]:
        wrong.append("Contact is not the repository's advisory form")
    if security_txt.parse(security_txt.render(root, _EXAMPLE)).fields != found.fields:
        wrong.append("what is printed for a repository is not what the file says")
    return [f"{security_txt.SOURCE}: {one}" for one in wrong]


def _section(text: str, name: str) -> str:
    _, found, rest = text.partition(f"\n## {name}\n")
    return " ".join(rest.partition("\n## ")[0].split(" ")) if found else ""
