"""The ten-minute page works as it stands: its zone file and its commands are run."""

import os
import re
import subprocess
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest

from tests.support.running import running_caracal
from tools.repository import ROOT

PAGE = ROOT / "docs" / "protect-an-api.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def reports(tmp_path):
    """The page's API: a folder served over HTTP."""
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "today.json").write_text('{"total": 42}')

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_newcomer_gets_a_report_once(tmp_path, reports):
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": f"127.0.0.1:{reports}"}
    with running_caracal(tmp_path / "data", environment=egress) as server:
        zone_file = tmp_path / "zone.yaml"
        zone_file.write_text(blocks("yaml")[0].replace("127.0.0.1:9000", f"127.0.0.1:{reports}"))
        applied = server.ask("apply", str(zone_file), environment={"REPORTS_TOKEN": "token"})
        again = server.ask("apply", str(zone_file), environment={"REPORTS_TOKEN": "token"})
        assert again["changes"] == []
        application = applied["applications"][0]
        script = next(block for block in blocks("sh") if "SESSION_MANDATE" in block)
        script = re.sub(r"^CONTROL=.*$", "", script, flags=re.MULTILINE)
        script = re.sub(r"^ZONE=.*$", "", script, flags=re.MULTILINE)
        script = script.replace("python3", sys.executable)
        call = script.strip().splitlines()[-1]
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{script}\n{call}"],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
            env=os.environ
            | {
                "CONTROL": server.control,
                "GATEWAY": server.gateway,
                "ZONE": applied["zone"]["id"],
                "APP": application["id"],
                "SECRET": application["secret"],
            },
        )
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.count('{"total": 42}') == 1
        assert '"reason":"mandate_replayed"' in finished.stdout
