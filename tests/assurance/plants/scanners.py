from tests.assurance.planting import edited

OSV = ".github/workflows/osv.yml"
TEST = ".github/workflows/test.yml"
SCORECARD = ".github/workflows/scorecard.yml"

PLANTS = {
    "scanners_hold_nothing": (
        edited("write_contents", OSV, "contents: read # to read", "contents: write # to read"),
        edited("show_results_itself", OSV, "      contents: read # to read", "      security-events: write\n      contents: read #"),
        edited("hand_it_a_token", OSV, "          scan-args: |-\n", "          token: ${{ github.token }}\n          scan-args: |-\n"),
        edited("hand_it_a_secret", OSV, "          scan-args: |-\n", "          token: ${{ secrets.TOKEN }}\n          scan-args: |-\n"),
        edited("stand_in_an_environment", OSV, "    name: Scan every", "    environment: pypi\n    name: Scan every"),
        edited("scan_in_a_script_with_rights", TEST, "contents: read # to check the sources out", "contents: write # to check"),
        edited("score_and_sign", SCORECARD, "id-token: write #", "attestations: write #"),
    ),
    "what_scanners_leave_is_only_shown": (
        edited("write_more", OSV, "contents: read # to match", "contents: write # to match"),
        edited("run_something", OSV, "          category: osv-scanner\n", "          category: osv-scanner\n      - run: make test\n"),
    ),
}  # fmt: skip
