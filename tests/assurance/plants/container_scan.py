from datetime import UTC, datetime, timedelta

from tests.assurance.planting import added, edited

SCAN = ".github/workflows/container-scan.yml"
RELEASE = ".github/workflows/release.yml"
IGNORE = ".trivyignore.yaml"
_TODAY = datetime.now(UTC).date()


def _entry(
    days: int, statement: str = "the affected function is never called from our code"
) -> str:
    until = (_TODAY + timedelta(days)).isoformat()
    return f"vulnerabilities:\n  - id: CVE-2026-1\n    statement: {statement}\n    expired_at: {until}\n"


PLANTS = {
    "published_images_are_scanned": (
        edited("come_monthly", SCAN, "31 6 * * 1", "31 6 1 * *"),
        edited("scan_one_by_hand", SCAN, "image: ${{ fromJSON(needs.images.outputs.images) }}", "image: [{name: sts}]"),
        edited("scan_by_tag", SCAN, "matrix.image.reference", "matrix.image.tag"),
        edited("list_nothing", SCAN, "python3 -m tools.release_images list", "echo"),
    ),
    "critical_and_high_fail": (
        edited("only_report", SCAN, 'exit-code: "1"', 'exit-code: "0"'),
        edited("let_high_pass", SCAN, "severity: CRITICAL,HIGH", "severity: CRITICAL"),
        edited("hide_the_unfixed", SCAN, 'ignore-unfixed: "false"', 'ignore-unfixed: "true"'),
        edited("suppress_elsewhere", SCAN, "trivyignores: .trivyignore.yaml", "trivyignores: .trivyignore"),
    ),
    "nothing_is_published_unscanned": (
        edited("scan_nothing", RELEASE, "/container-scan.yml", "/codeql.yml"),
        edited("wait_for_no_scan", RELEASE, "needs: [build, rebuild, scan]", "needs: [build, rebuild]"),
    ),
    "suppressions_are_dated": (
        edited("suppress_for_ever", IGNORE, "vulnerabilities: []", "vulnerabilities:\n  - id: CVE-2026-1"),
        edited("suppress_what_has_expired", IGNORE, "vulnerabilities: []", _entry(-1)),
        edited("suppress_for_a_year", IGNORE, "vulnerabilities: []", _entry(365)),
        edited("suppress_without_a_reason", IGNORE, "vulnerabilities: []", _entry(30, "later")),
        edited("suppress_a_whole_kind", IGNORE, "vulnerabilities: []", _entry(30) + "secrets:\n  - id: any\n"),
        added("suppress_without_a_date", ".trivyignore", "CVE-2026-1\n"),
    ),
}  # fmt: skip
