from pathlib import Path


def _claim_without_check(root: Path) -> None:
    file = root / "assurance/controls/register.toml"
    file.write_text(file.read_text().replace('checks = ["register.page_is_current"]', ""))


def _edit_the_page(root: Path) -> None:
    file = root / "docs/security/enterprise-readiness.md"
    file.write_text(file.read_text() + "\nCertified by everyone.\n")


PLANTS = {"page_is_current": (_claim_without_check, _edit_the_page)}
