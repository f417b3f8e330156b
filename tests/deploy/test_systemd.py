"""A real systemd starts the units as they stand, in their whole sandbox."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assurance.units import read_unit
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.assembly.provisioning import provision
from tests.deploy.box import HERE, PROGRAM, ROOT, Boxed, boxed, in_a_box, network
from tests.support.deployment import eventually

PAGE = ROOT / "docs/deploy.md"
UNITS = ROOT / "deploy/systemd"
SYSTEMD = Path("/lib/systemd/systemd")
CGROUPS = Path("/sys/fs/cgroup")
SERVICES = ("sts", "gateway", "coordinator", "audit", "control")
TARGET = "caracal-services.target"

with_systemd = pytest.mark.skipif(not SYSTEMD.exists(), reason="no systemd on this machine")


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    hierarchy = CGROUPS / "systemd" if (CGROUPS / "systemd").is_dir() else CGROUPS
    group = hierarchy / f"caracal-{tmp_path.name[-20:]}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    yield group
    eventually(lambda: _is_gone(group))


def _is_gone(group: Path) -> bool:
    """Control groups can be removed once the last process in them has ended."""
    with contextlib.suppress(OSError):
        for folder in sorted((one for one in group.rglob("*") if one.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()
    return not group.exists()


def _files(at: Path) -> Path:
    installed = at / "etc/systemd/system"
    installed.mkdir(parents=True)
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, installed)
    wants = "\n".join(f"Wants=caracal@{name}.service" for name in SERVICES)
    (installed / TARGET).write_text(f"[Unit]\n{wants}\n")
    (at / "etc/caracal").mkdir()
    settings = "CARACAL_ISSUER=https://caracal.example.com\n"
    (at / "etc/caracal/caracal.env").write_text(settings)
    return at


def _documented(language: str) -> str:
    """The one example of a language on the page."""
    (example,) = re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    return example


def _starting(unit: str) -> list[str]:
    return ["bash", "-c", (HERE / "systemd.sh").read_text(), "systemd.sh", unit]


def _is_sandboxed(box: Boxed, unit: str) -> bool:
    pid = box.run("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
    status = box.run("cat", f"/proc/{pid}/status").stdout
    said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    confined = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    return {name: said[name] for name in confined} == confined and not said["Uid"].startswith("0\t")


def _stops(box: Boxed, unit: str) -> bool:
    assert box.run("systemctl", "stop", unit).returncode == 0
    result = box.run("systemctl", "show", "--property=Result,ExecMainStatus", unit).stdout
    return result.split() == ["Result=success", "ExecMainStatus=0"]


def test_the_unit_of_one_service_differs_from_that_of_all_by_what_it_runs():
    one, every = (read_unit(UNITS / f"caracal{at}.service") for at in ("@", ""))
    differing = {
        name for name in one["Service"] if one["Service"][name] != every["Service"].get(name)
    }
    assert differing == {
        "EnvironmentFile", "ExecStart", "User", "StateDirectory", "WorkingDirectory",
    }  # fmt: skip
    assert one["Service"].keys() == every["Service"].keys()


@in_a_box
@with_systemd
def test_systemd_starts_all_services_in_one_process(tmp_path, cgroup):
    files = _files(tmp_path / "files")
    unit = "caracal.service"
    # An embedded store will do to show that it is the credential's URL that is used.
    (files / "etc/caracal/database").write_text("sqlite:////var/lib/caracal/named.db")
    (files / "etc/caracal/database").chmod(0o600)
    (files / f"etc/systemd/system/{unit}.d").mkdir()
    (files / f"etc/systemd/system/{unit}.d/database.conf").write_text(_documented("ini"))
    with network() as on, boxed(on, tmp_path, files, _starting(unit), cgroup=cgroup) as box:
        on.becomes("http://127.0.0.1:8080/ready", 200)
        on.becomes("http://127.0.0.1:8081/ready", 200)
        assert _is_sandboxed(box, unit)
        kept = box.run("stat", "--format=%a %U", "/var/lib/private/caracal/keys").stdout
        assert kept == "700 caracal\n"
        assert box.run("test", "-s", "/var/lib/caracal/named.db").returncode == 0
        made = box.run(
            PROGRAM, "operator", "create", "someone", "--server", "http://127.0.0.1:8080",
            "--token-file", "/var/lib/caracal/operator.token",
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        assert _stops(box, unit)


@in_a_box
@with_systemd
def test_systemd_starts_the_five_services_with_the_keys_that_root_provisioned(tmp_path, cgroup):
    files = _files(tmp_path / "files")
    (files / "var/lib").mkdir(parents=True)
    provision(files / "var/lib/caracal", SystemEntropy(), None)
    with network() as on, boxed(on, tmp_path, files, _starting(TARGET), cgroup=cgroup) as box:
        for port in (8080, 8081, 8082, 8083, 8084):
            on.becomes(f"http://127.0.0.1:{port}/ready", 200)
        for name in SERVICES:
            assert _is_sandboxed(box, f"caracal@{name}.service")
            assert _stops(box, f"caracal@{name}.service")
