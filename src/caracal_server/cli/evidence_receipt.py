"""`caracal evidence receipt`: fetch the receipt that an answer referred to, with no token but that."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from caracal.evidence.errors import EvidenceError
from caracal.evidence.receipts import parse_receipt
from caracal_server.cli.bundle_file import replacing, write_pieces
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import DataOption, JsonOption, ServerOption
from caracal_server.cli.output import print_fields, print_json, say
from caracal_server.cli.server import Server, path_of


class Fetched(msgspec.Struct, frozen=True):
    """What `--json` prints. Nothing of it is verified."""

    file: str
    index: int


def receipt(
    reference: Annotated[
        str, typer.Argument(help="What Caracal-Receipt said, or caracal_receipt in a token answer.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the receipt goes.")
    ],
    witnessed: Annotated[
        bool,
        typer.Option("--witnessed", help="Only with a checkpoint that the witnesses cosigned."),
    ] = False,
    server: ServerOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch the receipt of a decision into a file that `caracal evidence verify-receipt` takes."""
    with Server.connect_without_token(server, data, "fetch the receipt") as connected:
        query = "true" if witnessed else None
        text = connected.text(path_of("v1", "receipts", reference), witnessed=query)
    try:
        index = parse_receipt(text).index
    except EvidenceError as fault:
        raise CommandFailed(
            ExitCode.UNREACHABLE,
            f"could not fetch the receipt: what the server sent is none: {fault}",
            "check --server: it is the address of Control, not of the Gateway",
        ) from None
    with replacing(output) as draft:
        for _ in write_pieces(draft, (text.encode(),), output):
            pass
    if json:
        print_json(Fetched(str(output), index))
        return
    print_fields((("file", str(output)), ("entry", str(index))))
    say(f"verify it anywhere: caracal evidence verify-receipt {output} --log-key KEY")
