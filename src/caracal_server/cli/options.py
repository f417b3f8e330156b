"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Control's address. Else $CARACAL_SERVER, else what `caracal up` wrote down.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Holds the operator token. Else $CARACAL_OPERATOR_TOKEN_FILE, else what "
        "`caracal up` wrote down.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The directory of `caracal up`. Else $CARACAL_DATA, else ./caracal-data.",
    ),
]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone", metavar="ZONE", help="A zone's name or id; needed when there are several."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text for people.")
]
