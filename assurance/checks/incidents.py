"""The security pages: their commands exist, their links lead somewhere, and drills are run."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from assurance import command_tree, named_tests
from tools.check_links import check_links

PAGE: Final = "docs/security/incident-response.md"
DRILLS: Final = "tests/scenarios/test_incident_drills_are_run.py"
_SECTIONS: Final = ("Roles", "Severities", "First actions", "Drills", "Afterwards")
_DRILL: Final = re.compile(r"^### (.+)\n\n```sh drill\n", re.MULTILINE)
_GENERATED: Final = "docs/security/enterprise-readiness.md"


def commands_exist(root: Path) -> Sequence[str]:
    """Every command and option on the security pages exists in the command line."""
    tree = command_tree.command_tree(root)
    found = [
        (name, command) for name, text in _pages(root) for command in command_tree.commands(text)
    ]
    if not found:
        return ["the security pages show no command"]
    return [
        f"{name}: {wrong}"
        for name, command in found
        if (wrong := command_tree.what_is_wrong(command, tree))
    ]


def links_resolve(root: Path) -> Sequence[str]:
    """Every link of the security pages and of the threat model leads to a file and an anchor."""
    return [
        str(found)
        for found in check_links(root)
        if found.file.startswith("docs/security/")
        or found.file in {"SECURITY.md", "docs/threats.md"}
    ]


def drills_are_run(root: Path) -> Sequence[str]:
    """The page has roles, severities and first actions, and a test runs each drill as it stands."""
    page = (root / PAGE).read_text()
    wrong = [f"{PAGE} has no section {name}" for name in _SECTIONS if f"\n## {name}\n" not in page]
    _, _, drills = page.partition("\n## Drills\n")
    headings = re.findall(r"^### (.+)$", drills.partition("\n## ")[0], re.MULTILINE)
    if not headings:
        wrong.append("there is no drill")
    with_commands = _DRILL.findall(page)
    wrong += [f"the drill {name} has no commands" for name in headings if name not in with_commands]
    test = root / DRILLS
    if test.is_file() and "incident-response.md" not in test.read_text():
        wrong.append(f"{DRILLS} does not read the page")
    return [*wrong, *named_tests.what_is_wrong(root, DRILLS)]


def pages_say_what_can_be_checked(root: Path) -> Sequence[str]:
    """Every security page is indexed, and says what an outsider can check and what is the operator's."""
    index = (root / "docs/README.md").read_text()
    wrong = []
    for file in sorted((root / "docs/security").glob("*.md")):
        name = file.relative_to(root).as_posix()
        if f"(security/{file.name})" not in index:
            wrong.append(f"docs/README.md does not lead to {name}")
        if name != _GENERATED:
            text = file.read_text()
            wrong += [
                f"{name} has no section {part}" for part in _parts() if f"\n## {part}\n" not in text
            ]
    return wrong


def _parts() -> tuple[str, str]:
    return "What an outsider can check", "What is left to the operator"


def _pages(root: Path) -> Iterator[tuple[str, str]]:
    for file in (root / "SECURITY.md", *sorted((root / "docs/security").glob("*.md"))):
        yield file.relative_to(root).as_posix(), file.read_text()
