"""The compose file's container starts as it stands, confined as it says."""

import os
import re
from pathlib import Path

import yaml

from distribution.images import ENTRYPOINT
from tests.deploy.box import PROGRAM, ROOT, USER, boxed, contained, in_a_box, network

FILE = ROOT / "deploy/compose/compose.yaml"
GIVEN = {
    "CARACAL_IMAGE_REGISTRY": "registry.example.com/caracal",
    "CARACAL_IMAGE_DIGEST": "sha256:" + "0" * 64,
    "CARACAL_ISSUER": "https://caracal.example.com",
}


def _interpolated() -> dict:
    text = re.sub(r"\$\{(\w+):\?[^}]+\}", lambda found: GIVEN[found[1]], FILE.read_text())
    return yaml.safe_load(text)


def test_nothing_is_asked_for_that_the_file_does_not_name():
    assert set(re.findall(r"\$\{(\w+)", FILE.read_text())) == set(GIVEN)


def test_the_health_check_runs_what_the_image_has():
    command = _interpolated()["services"]["caracal"]["healthcheck"]["test"]
    program = (f"{Path(ENTRYPOINT[0]).name}", *ENTRYPOINT[1:])
    assert command[: len(program) + 1] == ["CMD", *program]


@in_a_box
def test_the_container_gets_ready_is_healthy_and_can_write_nowhere_else(tmp_path):
    service = _interpolated()["services"]["caracal"]
    folders = [volume.split(":")[1] for volume in service["volumes"]]
    files = tmp_path / "files"
    for folder in folders:
        (files / folder.lstrip("/")).mkdir(mode=0o700, parents=True)
        os.chown(files / folder.lstrip("/"), USER, USER)
    command = contained([PROGRAM, *service["command"]], folders)
    with network() as on, boxed(on, tmp_path, files, command, service["environment"]) as container:
        for port in service["ports"]:
            on.becomes(f"http://127.0.0.1:{port.rpartition(':')[2]}/ready", 200)

        status = container.status()
        assert status["Uid"].split() == [str(USER)] * 4
        assert (status["CapEff"], status["CapBnd"], status["NoNewPrivs"]) == (
            "0" * 16,
            "0" * 16,
            "1",
        )
        assert "Read-only" in container.run("touch", "/etc/written", "/opt/written").stderr
        assert "Permission denied" in container.run("touch", "/root/x", as_user=True).stderr

        probe = service["healthcheck"]["test"][len(ENTRYPOINT) + 1 :]
        healthy = container.run(PROGRAM, *probe, as_user=True)
        assert healthy.returncode == 0, healthy.stderr
        assert container.stop() == 0
