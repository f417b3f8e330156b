"""`caracal provision`: the keys of services that run apart."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import JsonOption

app = typer.Typer()


class _Provisioned(msgspec.Struct, frozen=True):
    directories: tuple[str, ...]


@app.command()
def provision(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Gets a directory for each service.")
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DATA", help="Hand out the keys of a stopped `caracal up` instead."
        ),
    ] = None,
    shard: Annotated[
        list[str] | None,
        typer.Option("--shard", metavar="NAME", help="A shard of Audit besides; again for more."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make one directory for each service, with the keys that it may hold and no other."""
    from caracal_server.adapters.entropy import SystemEntropy  # noqa: PLC0415 (slow to import)
    from caracal_server.adapters.sealing.key_files import KeyFileError  # noqa: PLC0415 (as above)
    from caracal_server.assembly.data_directory import DataDirectory  # noqa: PLC0415 (as above)
    from caracal_server.assembly.provisioning import (  # noqa: PLC0415 (as above)
        ProvisioningRefused,
    )
    from caracal_server.assembly.provisioning import provision as make  # noqa: PLC0415 (as above)
    from caracal_server.cli.output import print_json, say  # noqa: PLC0415 (as above)

    kept = None if source is None else DataDirectory(source)
    try:
        made = make(directory, SystemEntropy(), kept, shard or ())
    except (KeyFileError, ProvisioningRefused) as fault:
        raise CommandFailed(ExitCode.USAGE, f"could not make the keys: {fault}") from None
    except OSError as fault:
        place = fault.filename or directory
        raise CommandFailed(
            ExitCode.USAGE, f"could not make the keys: {fault.strerror} ({place})"
        ) from None
    if json:
        print_json(_Provisioned(tuple(map(str, made))))
    else:
        for one in made:
            service, _, name = one.name.partition(".")
            set_to = f"CARACAL_SHARD={name} " if name else ""
            say(f"{one}: for `{set_to}caracal serve {service} --data {one}`")
