from tests.assurance.planting import edited

PLANTS = {
    "proofs_outlive_what_is_forgotten": (
        edited(
            "who_it_was_is_written_down",
            "src/caracal_server/audit/committing.py",
            '        changes: dict[str, object] = dict.fromkeys(values, "")\n',
            "        changes: dict[str, object] = {}\n",
        ),
        edited(
            "bytes_stay_in_the_file",
            "src/caracal_server/adapters/sql/sqlite.py",
            '"PRAGMA secure_delete = ON"',
            '"PRAGMA secure_delete = OFF"',
        ),
    ),
    "commands_forget": edited(
        "nobody_is_forgotten",
        "tests/cli/test_people_can_be_forgotten.py",
        "def test_a_forgotten_person_is_gone",
        "def a_forgotten_person_is_gone",
    ),
}
