from pathlib import Path

from assurance.checks.entries import LEDGER, OUTSIDE, PAGE, SCHEMA
from tests.assurance.planting import edited
from tests.assurance.plants.editing import replace

EVENTS = "src/caracal/authority/events.py"
CLOSED = '"additionalProperties": '


def _a_tag_that_means_something_else_in_code_and_ledger(root: Path) -> None:
    replace(root, EVENTS, 'GIVEN_UP = "given_up"', 'QUIT = "given_up"')
    replace(root, LEDGER, '"given_up": "GIVEN_UP"', '"given_up": "QUIT"')


def _a_schema_that_takes_anything(root: Path) -> None:
    replace(root, SCHEMA, f"{CLOSED}false", f"{CLOSED}true")
    replace(
        root,
        "tools/generate_schemas.py",
        f"{CLOSED}False,\n    }}\n\n\ndef _def",
        f"{CLOSED}True,\n    }}\n\n\ndef _def",
    )


PLANTS = {
    "tags_and_fields_keep_their_meaning": (
        _a_tag_that_means_something_else_in_code_and_ledger,
        edited("a_field_of_another_form", EVENTS, "    depth: int = 0\n", '    depth: str = ""\n'),
        edited("a_field_of_the_ledger_is_gone", LEDGER, '    "depth": "int",\n', ""),
    ),
    "entries_are_as_the_schema_says": (
        _a_schema_that_takes_anything,
        edited("a_kind_that_the_schema_refuses", SCHEMA, '        "session.lease",\n', ""),
        edited("a_page_of_other_fields", PAGE, "| `depth` |", "| `deepness` |"),
    ),
    "decisions_say_who_what_why_and_when": edited(
        "no_entry_is_held_to_the_schema", OUTSIDE, "def test_every_entry_is", "def every_entry_is"
    ),
}
