from pathlib import Path

from tests.assurance.plants.editing import append, replace

PAGE = "docs/security/incident-response.md"
DRILLS = "tests/scenarios/test_incident_drills_are_run.py"


def _unknown_command(root: Path) -> None:
    replace(root, PAGE, "caracal session kill ", "caracal session stop ")


def _unknown_option(root: Path) -> None:
    replace(root, PAGE, "--reason ", "--because ")


def _command_that_is_gone(root: Path) -> None:
    replace(root, "src/caracal_server/cli/program.py", '    "explain": "explain",\n', "")


def _link_to_nothing(root: Path) -> None:
    append(root, PAGE, "\n[More](more.md)\n")


def _drill_without_commands(root: Path) -> None:
    replace(
        root,
        PAGE,
        "## What the evidence says",
        "### The disk is full\n\nBe calm.\n\n## What the evidence says",
    )


def _nobody_runs_them(root: Path) -> None:
    (root / DRILLS).unlink()


def _no_roles(root: Path) -> None:
    replace(root, PAGE, "## Roles", "## People")


def _page_nobody_finds(root: Path) -> None:
    (root / "docs/security/more.md").write_text("# More\n")


PLANTS = {
    "commands_exist": (_unknown_command, _unknown_option, _command_that_is_gone),
    "links_resolve": (_link_to_nothing,),
    "drills_are_run": (_drill_without_commands, _nobody_runs_them, _no_roles),
    "pages_say_what_can_be_checked": (_page_nobody_finds,),
}
