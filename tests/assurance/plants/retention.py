from tests.assurance.planting import edited

RETENTION = "src/caracal_server/audit/retention.py"

PLANTS = {
    "what_was_not_exported_stays": (
        edited("nothing_need_be_exported", RETENTION, "if covered < end:", "if covered < 0:"),
        edited("exports_reach_over_gaps", RETENTION, "if start <= first < end:", "if first < end:"),
    ),
    "proofs_outlive_a_drop": edited(
        "nothing_is_recomputed",
        "tests/cli/test_logs_are_copied_and_recomputed.py",
        "def test_after_a_drop",
        "def after_a_drop",
    ),
}
