from tests.assurance.planting import edited

REPLAY = "src/caracal/authority/policy/replay.py"

PLANTS = {
    "decisions_are_reproduced_from_their_entries": (
        edited(
            "everything_comes_out_as_recorded",
            REPLAY,
            "        if reproduces(entry, outcome):\n",
            "        if outcome:\n",
        ),
        edited(
            "a_refusal_that_is_allowed_now_is_the_same",
            REPLAY,
            "    if outcome.permitted != permitted_resources(entry):\n        return False\n",
            "    if outcome.permitted != permitted_resources(entry):\n        return True\n",
        ),
    ),
    "a_deployment_replays_its_own_record": edited(
        "nobody_replays",
        "tests/cli/test_decisions_are_replayed.py",
        "def test_the_versions_that_decided",
        "def the_versions_that_decided",
    ),
}
