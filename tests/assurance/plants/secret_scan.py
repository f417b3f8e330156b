_TESTS = "tests/assurance/test_secrets_are_found.py"

# A scan of the whole tree takes many seconds: the violations stand in small trees.
ELSEWHERE = {
    "no_secret_is_committed": (
        f"{_TESTS}::test_a_planted_secret_is_found_and_not_shown",
        f"{_TESTS}::test_a_remark_beside_a_secret_does_not_excuse_it",
        f"{_TESTS}::test_a_listed_value_passes_and_another_in_the_same_file_does_not",
        f"{_TESTS}::test_an_entry_without_reason_or_use_is_named",
        f"{_TESTS}::test_a_shape_that_would_let_everything_through_is_refused",
        f"{_TESTS}::test_without_a_list_that_can_be_read_nothing_passes",
    )
}
