"""A violation for every check, so that none can pass whatever the tree holds.

One module for each module of `assurance.checks`, of the same name, with two tables keyed by the check's
name: `PLANTS` has functions that break a copy of the repository; `ELSEWHERE` names, as
`tests/path.py::test_name`, tests that plant what a copy of the tree cannot show.
"""
