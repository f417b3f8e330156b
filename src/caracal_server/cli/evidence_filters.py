"""What entries are looked for by, besides what has an option of its own."""

from typing import Annotated, Final

import typer

from caracal_server.cli.failures import CommandFailed, ExitCode

NAMES: Final = (
    "delegation",
    "mandate",
    "resource",
    "operation",
    "scope",
    "policy",
    "deciding",
    "reason",
    "instance",
    "target",
    "actor",
    "pseudonym",
)

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help=f"Repeatable; names: {', '.join(NAMES)}. `operation` is how it begins, `policy` a "
        "digest, `deciding` the id of a policy that decided.",
    ),
]

SubjectOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--subject",
        metavar="ISSUER SUB",
        help="A user, by who vouches for them and their name there.",
    ),
]


def of_subject(subject: tuple[str, str] | None) -> dict[str, str | None]:
    """What to ask the server for, of a user."""
    if subject is None:
        return {}
    issuer, name = subject
    return {"subject_issuer": issuer, "subject": name}


def read_where(given: list[str]) -> dict[str, str | None]:
    """Read `NAME=VALUE` as often as it is given.

    Raises:
        CommandFailed: one is of no such form, or of a name that there is not, or there twice.
    """
    found: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in NAMES or not equals or not value or name in found:
            raise CommandFailed(
                ExitCode.USAGE,
                f"--where {text!r} does not say what to look for",
                f"write NAME=VALUE, each name once: {', '.join(NAMES)}",
            )
        found[name] = value
    return found
