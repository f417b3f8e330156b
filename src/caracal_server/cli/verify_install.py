"""`caracal verify-install`: whether the installed files are those of the release."""

import msgspec
import typer

from caracal_server.cli.failures import ExitCode
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import print_json, say

app = typer.Typer()


class Verified(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    state: str
    digest: str
    files: int
    differences: tuple[str, ...]
    detail: str


@app.command()
def verify_install(json: JsonOption = False) -> None:
    """Hold the installed files against the wheel's RECORD; end with 1 unless all are as recorded."""
    from caracal_server.adapters.installation import (  # noqa: PLC0415 (`--help` does not wait for it)
        State,
        read_installation,
    )

    found = read_installation()
    if json:
        state, differences = found.state.value, found.differences
        print_json(Verified(state, found.digest, found.files, differences, found.detail))
    else:
        say(f"installation {found.state}: {found.files} files, sha256 {found.digest}")
        for difference in found.differences:
            say(f"  {difference}")
        if found.why_unknown:
            say(f"  {found.why_unknown}")
    if found.state is not State.INTACT:
        raise typer.Exit(ExitCode.REFUSED)
