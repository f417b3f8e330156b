from pathlib import Path

from tests.assurance.planting import edited

SCORECARD = ".github/workflows/scorecard.yml"


def _commit_a_program(root: Path) -> None:
    (root / "tools/handy").write_bytes(b"\x7fELF\x02\x01\x01\x00")


def _commit_a_path_file(root: Path) -> None:
    (root / "src/start.pth").write_text("import os\n")


def _fuzz_the_wire_no_more(root: Path) -> None:
    for file in (root / "tests/wire").rglob("test_*.py"):
        file.unlink()


PLANTS = {
    "licence_and_policy_are_where_forges_look": (
        edited("shorten_the_licence", "LICENSE", "END OF TERMS AND CONDITIONS", "AND SO ON"),
        edited("report_in_public", "SECURITY.md", "privately", "openly"),
    ),
    "no_program_is_committed": (_commit_a_program, _commit_a_path_file),
    "what_reads_strangers_bytes_is_fuzzed": _fuzz_the_wire_no_more,
    "what_scorecard_reads_in_files_holds": (
        edited("use_a_tag", SCORECARD, "actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10", "actions/checkout@v6"),
        edited("allow_everything", SCORECARD, "permissions: {}", "permissions: write-all"),
        _commit_a_program,
    ),
    "scorecard_is_asked_weekly": (
        edited("come_monthly", SCORECARD, "37 6 * * 5", "37 6 1 * *"),
        edited("keep_it_quiet", SCORECARD, "publish_results: true", "publish_results: false"),
        edited("let_it_write", SCORECARD, "contents: read # to read", "contents: write # to read"),
    ),
}  # fmt: skip
