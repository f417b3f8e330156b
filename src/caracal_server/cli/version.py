"""`caracal version`."""

import sys
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

import typer

from caracal_server.cli.options import JsonOption

app = typer.Typer()


@app.command()
def show(json: JsonOption = False) -> None:
    """Print which version this is."""
    try:
        installed = version("caracal")
    except PackageNotFoundError:
        installed = "unknown"
    if not json:
        sys.stdout.write(f"caracal {installed} (Python {python_version()})\n")
        return
    from caracal_server.cli.version_details import details  # noqa: PLC0415 (slow to import)

    sys.stdout.write(details(installed))
