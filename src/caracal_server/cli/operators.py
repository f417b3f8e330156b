"""`caracal operator`: who may operate, by token."""

from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal_server.cli.bundle_file import replacing
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import DataOption, JsonOption, ServerOption, TokenFileOption
from caracal_server.cli.output import print_fields, print_json, print_table, say
from caracal_server.cli.server import Server, path_of

app = typer.Typer(help="Operators, and the tokens that they prove themselves with.")

READ_ONLY: Final = ("read",)
_NAME_LENGTH: Final = 64


class Operator(msgspec.Struct, frozen=True, omit_defaults=True):
    """`token` is there once: in the answer to its making."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    expires_at: str | None
    token: str | None = None


class _Operators(msgspec.Struct, frozen=True):
    items: tuple[Operator, ...]


class _OperatorList(msgspec.Struct, frozen=True):
    operators: tuple[Operator, ...]


class _New(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    scopes: tuple[str, ...]
    expires_at: str | None = None


class _Revoked(msgspec.Struct, frozen=True):
    revoked: str


@app.command("list")
def list_command(
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List the operator tokens; the tokens themselves are kept nowhere."""
    with Server.connect(server, token_file, data, "list the operators") as connected:
        found = connected.get("/v1/operators", _Operators).items
    if json:
        print_json(_OperatorList(found))
        return
    print_table(
        ("ID", "NAME", "SCOPES", "CREATED", "EXPIRES"),
        [
            (row.id, row.name, " ".join(row.scopes), row.created_at, row.expires_at or "never")
            for row in found
        ],
        empty="no operators",
    )


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the token is called in the evidence.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="read, write or approve; may be repeated. Else read."),
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", metavar="INSTANT", help="Such as 2030-01-31T12:00:00Z."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the token here, for you only."),
    ] = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make an operator token. It is shown once, or written to a file that only you can read."""
    wanted = _New(name, tuple(scope or READ_ONLY), expires_at)
    with Server.connect(server, token_file, data, "make the operator token") as connected:
        body = msgspec.json.encode(wanted)
        if output is None:
            made = connected.send("POST", "/v1/operators", Operator, body)
        else:
            # The file can be written before the token exists: one that nobody has is no use.
            with replacing(output) as draft:
                made = connected.send("POST", "/v1/operators", Operator, body)
                draft.write(f"{made.token}\n".encode())
            made = msgspec.structs.replace(made, token=None)
    if json:
        print_json(made)
    else:
        _show(made, output)


def _show(made: Operator, output: Path | None) -> None:
    print_fields(
        (
            ("operator", made.name),
            ("id", made.id),
            ("scopes", " ".join(made.scopes)),
            ("expires", made.expires_at or "never"),
            ("token in", "" if output is None else str(output)),
        )
    )
    if made.token is not None:
        say("Token, shown this once and kept nowhere:")
        say(f"  {made.token}")


@app.command()
def rotate(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Write the token here, for you only."),
    ],
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the token before in force; revoke it later.")
    ] = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a token with the scopes and the end of another, and then revoke that one."""
    with Server.connect(server, token_file, data, "rotate the operator token") as connected:
        known = connected.get("/v1/operators", _Operators).items
        before = next((row for row in known if row.id == token_id), None)
        if before is None:
            raise CommandFailed(ExitCode.REFUSED, f"there is no operator token {token_id}")
        name = next_name(before.name, {row.name for row in known})
        body = msgspec.json.encode(_New(name, before.scopes, before.expires_at))
        with replacing(output) as draft:
            made = connected.send("POST", "/v1/operators", Operator, body)
            draft.write(f"{made.token}\n".encode())
        if not keep:
            # Only now: whoever reads the file has the next one already.
            connected.delete(path_of("v1", "operators", token_id))
    made = msgspec.structs.replace(made, token=None)
    if json:
        print_json(made)
    else:
        _show(made, output)
        say(f"the token before, {token_id}, is {'still in force' if keep else 'revoked'}")


def next_name(name: str, taken: Collection[str]) -> str:
    """`deploy` is followed by `deploy-2`, that by `deploy-3`; within the 64 characters of a name."""
    stem, _, number = name.rpartition("-")
    if not (stem and number.isdecimal() and number.isascii()):
        stem, number = name, "1"
    suffixes = (f"-{following}" for following in count(int(number) + 1))
    proposed = (stem[: _NAME_LENGTH - len(suffix)] + suffix for suffix in suffixes)
    return next(one for one in proposed if one not in taken)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows.")],
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Revoke an operator token, at once."""
    with Server.connect(server, token_file, data, "revoke the operator token") as connected:
        connected.delete(path_of("v1", "operators", token_id))
    if json:
        print_json(_Revoked(token_id))
    else:
        say(f"revoked {token_id}")
