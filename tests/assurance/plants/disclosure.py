from pathlib import Path

from tests.assurance.plants.editing import append, replace


def _no_policy(root: Path) -> None:
    (root / "SECURITY.md").unlink()


def _no_safe_harbour(root: Path) -> None:
    replace(root, "SECURITY.md", "## Safe harbour", "## Legal")


def _no_times(root: Path) -> None:
    replace(root, "SECURITY.md", "| a person answers | 3 |\n", "")
    replace(root, "SECURITY.md", "| a judgement: accepted or not, and how severe | 10 |\n", "")
    for days in ("14", "30", "90"):
        replace(root, "SECURITY.md", f" | {days} |", " | soon |")


def _invented_address(root: Path) -> None:
    append(root, "SECURITY.md", "\nWrite to security@caracal.example.\n")


def _expired(root: Path) -> None:
    replace(root, ".well-known/security.txt.in", "Expires: 2027", "Expires: 2021")


def _never_reviewed(root: Path) -> None:
    replace(root, ".well-known/security.txt.in", "# Reviewed: 2026-11-25", "# Reviewed: 2025-01-01")


def _no_contact(root: Path) -> None:
    replace(root, ".well-known/security.txt.in", "Contact: ", "Contacts: ")


def _unprotected_contact(root: Path) -> None:
    replace(root, ".well-known/security.txt.in", "Policy: @REPOSITORY@", "Policy: http://x")


PLANTS = {
    "policy_says_what_it_must": (_no_policy, _no_safe_harbour, _no_times, _invented_address),
    "security_txt_is_current": (_expired, _never_reviewed, _no_contact, _unprotected_contact),
}
