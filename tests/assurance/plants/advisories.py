from datetime import UTC, datetime, timedelta
from pathlib import Path

_TESTS = "tests/assurance/test_advisories_are_matched.py"


def _move_a_fixed_version(root: Path) -> None:
    file = root / "tests/assurance/advisories/TEST-2026-0001.json"
    file.write_text(file.read_text().replace('"fixed": "2.3.1"', '"fixed": "2.2.0"'))


def _no_longer_withdraw(root: Path) -> None:
    file = root / "tests/assurance/advisories/TEST-2026-0003.json"
    file.write_text(file.read_text().replace('"withdrawn"', '"published"'))


def _lose_the_cases(root: Path) -> None:
    (root / "tests/assurance/advisories/cases.toml").write_text("")


def _ignore(root: Path, days: int, reason: str) -> None:
    until = (datetime.now(UTC) + timedelta(days=days)).date()
    file = root / "osv-scanner.toml"
    entry = f'[[IgnoredVulns]]\nid = "CVE-0000-1"\nignoreUntil = {until}\nreason = "{reason}"\n'
    file.write_text(file.read_text() + entry)


def _ignore_for_years(root: Path) -> None:
    _ignore(root, 900, "the affected function is never called here")


def _ignore_past_the_day(root: Path) -> None:
    _ignore(root, -1, "the affected function is never called here")


def _ignore_without_reason(root: Path) -> None:
    _ignore(root, 10, "")


PLANTS = {
    "the_matcher_knows_its_cases": (_move_a_fixed_version, _no_longer_withdraw, _lose_the_cases),
    "ignored_advisories_expire": (_ignore_for_years, _ignore_past_the_day, _ignore_without_reason),
}
ELSEWHERE = {
    "no_locked_version_is_affected": (
        f"{_TESTS}::test_the_check_runs_on_named_data_only_and_fails_on_old_ones",
        f"{_TESTS}::test_an_affected_version_fails_and_is_named_with_its_repair",
    ),
}
