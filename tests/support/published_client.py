"""Programs that use the published clients, run as processes of their own with the interpreter that has them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).parents[2] / ".venv" / "tools" / "clients" / "bin" / "python"
SECONDS = 60
_BEFORE = "import json, sys\nfrom types import SimpleNamespace\ngiven = SimpleNamespace(**json.load(sys.stdin))\nsaid = {}\n"


def run_published(script: str, **given: Any) -> dict[str, Any]:
    """Run a script that finds what it is given in `given`, and return what it puts into `said`."""
    finished = subprocess.run(
        [CLIENTS, "-c", f"{_BEFORE}{script}\nprint(json.dumps(said))"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={"PATH": os.environ["PATH"]},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
