"""The compose files' containers start as they stand, confined as they say."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distribution.images import ENTRYPOINT
from tests.deploy.box import PROGRAM, ROOT, USER, boxed, contained, in_a_box, network

ALL_IN_ONE, APART = "compose.yaml", "compose.services.yaml"
SERVICES = ("sts", "gateway", "coordinator", "audit", "control")
DATA = "/var/lib/caracal"
DIGEST = "sha256:" + "0" * 64
GIVEN = {
    "CARACAL_IMAGE_REGISTRY": "registry.example.com/caracal",
    "CARACAL_IMAGE_DIGEST": DIGEST,
    "CARACAL_ISSUER": "https://caracal.example.com",
    **{f"CARACAL_{name.upper()}_DIGEST": DIGEST for name in SERVICES},
}


def _text(name: str) -> str:
    return (ROOT / "deploy/compose" / name).read_text()


def _services(name: str) -> dict:
    text = re.sub(r"\$\{(\w+):\?[^}]+\}", lambda found: GIVEN[found[1]], _text(name))
    return yaml.safe_load(text)["services"]


def _owned(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)


@pytest.mark.parametrize("name", [ALL_IN_ONE, APART])
def test_health_checks_run_what_the_images_have(name):
    interpreter = Path(ENTRYPOINT[0]).name
    for service in _services(name).values():
        if "profiles" not in service:
            command = service["healthcheck"]["test"]
            assert command[:3] == ["CMD", interpreter, "-I"]
            assert command[3] == "-c" or tuple(command[2:5]) == ENTRYPOINT[1:]


def test_a_service_is_given_its_own_part_of_the_volume_and_no_other():
    for name in SERVICES:
        (volume,) = _services(APART)[name]["volumes"]
        assert (volume["target"], volume["volume"]) == (DATA, {"subpath": name})


def test_only_the_gateway_can_reach_what_is_outside():
    networks = yaml.safe_load(_text(APART))["networks"]
    assert networks["peers"] == {"internal": True}
    assert networks["callers"]["driver_opts"] == {
        "com.docker.network.bridge.enable_ip_masquerade": "false"
    }
    outside = {name for name in SERVICES if "upstreams" in _services(APART)[name]["networks"]}
    assert outside == {"gateway"}


@in_a_box
def test_the_container_gets_ready_is_healthy_and_can_write_nowhere_else(tmp_path):
    service = _services(ALL_IN_ONE)["caracal"]
    assert service["volumes"] == [f"data:{DATA}"]
    files = tmp_path / "files"
    (files / "var/lib/caracal").mkdir(mode=0o700, parents=True)
    _owned(files / "var/lib/caracal")
    command = contained([PROGRAM, *service["command"]], [DATA])
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
        assert "Permission denied" in container.run("cat", "/etc/shadow", as_user=True).stderr

        probe = service["healthcheck"]["test"][len(ENTRYPOINT) + 1 :]
        healthy = container.run(PROGRAM, *probe, as_user=True)
        assert healthy.returncode == 0, healthy.stderr
        assert container.stop() == 0


@in_a_box
def test_the_five_containers_are_provisioned_find_each_other_and_get_healthy(tmp_path):
    services = _services(APART)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    command = [str(data) if word == DATA else word for word in services["provision"]["command"]]
    subprocess.run([sys.executable, "-m", "caracal_server.cli", *command], check=True, timeout=60)
    hosts = "".join(f"127.0.0.1 {name}\n" for name in ("localhost", *SERVICES))
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(network())
        running = {}
        for name in SERVICES:
            files = tmp_path / name / "files"
            shutil.copytree(
                data / services[name]["volumes"][0]["volume"]["subpath"], files / "var/lib/caracal"
            )
            _owned(files / "var/lib/caracal")
            (files / "etc").mkdir()
            (files / "etc/hosts").write_text(hosts)
            started = contained([PROGRAM, *services[name]["command"]], [DATA])
            running[name] = stack.enter_context(
                boxed(on, tmp_path / name, files, started, services[name]["environment"])
            )
        for name in SERVICES:
            check = services[name]["healthcheck"]["test"]
            url = re.search(r"http://[^\"]+", check[-1])[0]
            on.becomes(url, 200)
        for name in ("gateway", "sts", "coordinator", "control", "audit"):
            assert running[name].stop() == 0, running[name].log.read_text()
