from tests.assurance.planting import added, edited

CODEQL = ".github/workflows/codeql.yml"
TEST = ".github/workflows/test.yml"

PLANTS = {
    "every_language_is_analysed": (
        added(
            "write_in_another_language", "src/caracal_server/console.js", "export const one = 1;\n"
        ),
        edited("leave_workflows_out", CODEQL, "[actions, c-cpp, python]", "[c-cpp, python]"),
        edited(
            "mix_the_results", CODEQL, "category: /language:${{ matrix.language }}", "category: all"
        ),
    ),
    "queries_are_extended_and_whole": (
        edited("ask_less", CODEQL, "queries: security-extended", "queries: ''"),
        edited("leave_a_query_out", CODEQL, "build-mode: none", "config-file: .github/codeql.yml"),
        edited("fail_on_nothing", CODEQL, "run: python3 -m tools.sarif results", "run: echo done"),
    ),
    "it_runs_on_changes_and_weekly": (
        edited("come_monthly", CODEQL, "11 4 * * 1,3,5", "11 4 1 * *"),
        edited(
            "call_it_no_more", TEST, "./.github/workflows/codeql.yml", "./.github/workflows/osv.yml"
        ),
        edited(
            "skip_some_paths",
            TEST,
            "  pull_request:\n",
            "  pull_request:\n    paths-ignore: [docs]\n",
        ),
        edited("skip_main", TEST, "    branches: [main]\n", "    branches: [next]\n"),
    ),
}
