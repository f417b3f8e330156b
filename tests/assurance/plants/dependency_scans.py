from tests.assurance.planting import added, edited

OSV = ".github/workflows/osv.yml"
REVIEW = ".github/workflows/dependency-review.yml"
TEST = ".github/workflows/test.yml"
_HASH = "0" * 64

PLANTS = {
    "every_lock_is_scanned": (
        added("lock_under_another_name", "demo/pins.lst", f"one==1.0 \\\n    --hash=sha256:{_HASH}\n"),
        added("lock_for_another_manager", "console/deps.lock", 'checksum = "' + _HASH + '"\n'),
        edited("list_by_hand", OSV, "${{ steps.locks.outputs.arguments }}", "--lockfile=requirements/dev.txt"),
        edited("list_nothing", OSV, "python3 -m tools.lock_files", "echo arguments="),
    ),
    "scan_runs_and_fails": (
        edited("come_weekly", OSV, "23 5 * * *", "23 5 * * 1"),
        edited("stay_offline", OSV, "--format=sarif", "--offline"),
        edited("suppress_without_a_date", OSV, "--config=osv-scanner.toml", "--config=other.toml"),
        edited("call_it_no_more", TEST, "./.github/workflows/osv.yml", "./.github/workflows/codeql.yml"),
    ),
    "advisories_are_matched_besides": (
        edited("match_nothing", OSV, "run: make assurance ARGS=DV-3", "run: make check"),
        edited("match_other_data", OSV, "curl --fail", "curl"),
    ),
    "review_fails_at_high": (
        edited("let_high_pass", REVIEW, "fail-on-severity: high", "fail-on-severity: critical"),
        edited("only_warn", REVIEW, "license-check: true", "warn-only: true"),
        edited("leave_development_out", REVIEW, "runtime, development, unknown", "runtime"),
        edited("look_for_nothing", REVIEW, "vulnerability-check: true", "vulnerability-check: false"),
        edited("call_it_no_more", TEST, "/dependency-review.yml", "/codeql.yml"),
    ),
    "review_excuses_what_the_list_excepts": (
        edited("excuse_one_more", REVIEW, "pkg:pypi/semgrep", "pkg:pypi/semgrep, pkg:pypi/anything"),
        edited("except_one_more", "assurance/licences.toml", 'name = "paramiko"', 'name = "pyqt5"'),
    ),
    "review_comes_every_two_days": (
        edited("come_weekly", REVIEW, "47 5 */2 * *", "47 5 * * 1"),
        edited("look_back_a_day", REVIEW, "--days 3", "--days 1"),
        edited("review_never", REVIEW, "outputs.landed == 'true'", "outputs.landed == 'yes'"),
        edited("compare_the_same", REVIEW, "base-ref: ${{ steps.landed.outputs.base", "base-ref: ${{ steps.landed.outputs.head"),
        edited("have_no_history", REVIEW, "fetch-depth: 0", "fetch-depth: 1"),
    ),
}  # fmt: skip
