"""The command line in this process, as a person without a terminal would use it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from caracal_server.cli.program import app
from tests.support.running import caracal as caracal  # noqa: PLC0414 (a fixture, for this folder)

OURS = "CARACAL_"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def first_error(self) -> str:
        return self.err.splitlines()[0]


Cli = Callable[..., Ended]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run a command with nothing of ours in the environment but what is given."""
    runner = CliRunner()

    def run(*arguments: str, environment: dict[str, str] | None = None, stdin: str = "") -> Ended:
        blank = {name: None for name in os.environ if name.startswith(OURS)}
        nowhere = {"CARACAL_DATA": str(tmp_path / "no-data")}
        given = blank | nowhere | (environment or {})
        result = runner.invoke(app, list(arguments), env=given, input=stdin, prog_name="caracal")
        assert "Traceback" not in result.output
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run
