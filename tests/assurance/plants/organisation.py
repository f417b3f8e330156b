from pathlib import Path

from tests.assurance.plants.editing import append, replace

MAIN = ".github/rulesets/main.json"
TAGS = ".github/rulesets/tags.json"
ROWS = "assurance/controls/organisation.toml"


def _no_owners(root: Path) -> None:
    (root / ".github/CODEOWNERS").unlink()


def _nobody_for_the_workflows(root: Path) -> None:
    replace(root, ".github/CODEOWNERS", "/.github/ ", "/.gitlab/ ")


def _line_without_an_owner(root: Path) -> None:
    append(root, ".github/CODEOWNERS", "/docs/\n")


def _no_review(root: Path) -> None:
    replace(
        root, MAIN, '"required_approving_review_count": 1', '"required_approving_review_count": 0'
    )


def _somebody_around_it(root: Path) -> None:
    bypass = '"bypass_actors": [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]'
    replace(root, MAIN, '"bypass_actors": []', bypass)


def _another_job(root: Path) -> None:
    replace(root, MAIN, '"context": "Gate"', '"context": "Check"')


def _only_watched(root: Path) -> None:
    replace(root, MAIN, '"enforcement": "active"', '"enforcement": "evaluate"')


def _tags_that_move(root: Path) -> None:
    replace(root, TAGS, '    { "type": "update" },\n', "")


def _claims_what_nobody_sees(root: Path) -> None:
    replace(root, ROWS, 'status = "Documented"', 'status = "Implemented"')


PLANTS = {
    "code_has_owners": (_no_owners, _nobody_for_the_workflows, _line_without_an_owner),
    "main_is_to_be_protected": (_no_review, _somebody_around_it, _another_job, _only_watched),
    "release_tags_are_to_be_protected": (_tags_that_move,),
    "page_says_what_can_not_be_seen": (_claims_what_nobody_sees,),
}
