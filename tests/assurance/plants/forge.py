from tests.assurance.planting import edited

TEST = ".github/workflows/test.yml"
DEPENDABOT = ".github/dependabot.yml"

PLANTS = {
    "zizmor_finds_nothing": (
        edited(
            "expand_a_title",
            TEST,
            "run: make test",
            "run: echo ${{ github.event.pull_request.title }}",
        ),
        edited("take_what_is_new", DEPENDABOT, "    cooldown:\n      default-days: 7\n", ""),
    ),
    "schemas_hold": (
        edited("misspell_a_key", TEST, "    runs-on: ubuntu-24.04", "    runs_on: ubuntu-24.04"),
        edited("misspell_an_interval", DEPENDABOT, "interval: weekly", "interval: fortnightly"),
    ),
    "actionlint_finds_nothing": (
        edited("name_no_context", TEST, "toJSON(needs)", "toJSON(need)"),
        edited("need_no_job", TEST, "needs: [check,", "needs: [checks,"),
    ),
    "scripts_are_sound": (
        edited("forget_a_quote", ".github/workflows/osv.yml", '"$GITHUB_OUTPUT"', "$GITHUB_OUTPUT"),
        edited("lose_a_failure", TEST, "    shell: bash\n", "    shell: sh\n"),
        edited("forget_a_quote_in_ci", ".ci/run", "make check", "make $ARGS check"),
    ),
    "what_it_runs_is_ours": (
        edited("make_what_is_not_there", TEST, "run: make test", "run: make tests"),
        edited("run_what_is_not_there", TEST, "-m tools.gate", "-m tools.gates"),
        edited("run_what_is_only_there", TEST, "run: make test", "run: tox"),
    ),
}
