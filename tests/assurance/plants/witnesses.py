from assurance.checks.witnesses import INSIDER
from tests.assurance.planting import added, edited

PLANTS = {
    "other_histories_are_refused": (
        edited(
            "any_history_is_cosigned",
            "src/caracal_server/witness/witness.py",
            "            _require_continues(request, checkpoint, latest)\n",
            "",
        ),
        edited(
            "what_contradicts_is_nothing",
            "src/caracal_server/audit/submission.py",
            "    if named > size:\n",
            "    if named > size + 1000:\n",
        ),
    ),
    "an_insider_is_caught_from_outside": (
        edited(
            "nobody_rolls_back",
            INSIDER,
            "def test_a_database_restored",
            "def a_database_restored",
        ),
        added("skipped", INSIDER, '\npytestmark = pytest.mark.skip(reason="slow")\n'),
    ),
}
