_TESTS = "tests/assurance/test_debian_packages_are_compared.py"

# Asking apt takes the network and a quarter of a minute: the comparison is shown its violations by itself.
ELSEWHERE = {
    "image_packages_are_current": (
        f"{_TESTS}::test_a_package_that_is_behind_changed_missing_or_in_excess_is_named",
        f"{_TESTS}::test_an_apt_that_is_not_there_clears_nothing",
        f"{_TESTS}::test_a_tree_without_the_lock_fails",
    )
}
