"""What the chart renders starts as it stands: command lines, settings, mounted files, names, probes."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from assurance.manifests import Manifest, workloads
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.assembly.provisioning import held_by, provision
from caracal_server.web.peers.services import Service
from tests.deploy.box import PROGRAM, ROOT, USER, boxed, contained, in_a_box, network
from tests.deploy.certificates import certificates
from tools import chart

RENDERED = workloads(ROOT)
DATA = "/var/lib/caracal"


def _pods(case: str) -> list[Manifest]:
    return [one for one in RENDERED if one.case == case]


def _laid_out(files: Path, pod: Manifest, secrets: dict[str, Path]) -> list[str]:
    """Put what is mounted where it is mounted, as a kubelet would; answer what can be written."""
    volumes = {volume["name"]: volume for volume in pod.pod["volumes"]}
    (container,) = pod.containers
    writable = []
    for mount in container["volumeMounts"]:
        volume = volumes.get(mount["name"], {"claim": "of the template"})
        target = files / mount["mountPath"].lstrip("/")
        if "configMap" in volume:
            for item in volume["configMap"]["items"]:
                target.mkdir(parents=True)
                shutil.copy(
                    secrets[volume["configMap"]["name"]] / item["key"], target / item["path"]
                )
        elif "secret" in volume:
            source = secrets[volume["secret"]["secretName"]]
            named = [(target, mount["subPath"])] if "subPath" in mount else [
                (target / file.name, file.name) for file in source.iterdir()
            ]  # fmt: skip
            for place, name in named:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / name, place)
                os.chown(place, 0, USER)
                place.chmod(volume["secret"]["defaultMode"])
        elif mount["mountPath"] != "/tmp":
            target.mkdir(parents=True)
            os.chown(target, 0, USER)
            target.chmod(0o2770)
            writable.append(mount["mountPath"])
    return writable


def _environment(pod: Manifest) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod.containers[0]["env"]}


def _ports(pod: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in pod.containers[0]["ports"]}


def _flat(provisioned: Path, secret: Path) -> Path:
    """As `kubectl create secret generic --from-file` has it: no folders."""
    secret.mkdir(parents=True)
    for file in (provisioned / "peers", *(provisioned / "keys").iterdir()):
        shutil.copy(file, secret)
    return secret


@pytest.mark.parametrize("pod", _pods("services"), ids=lambda pod: pod.component)
def test_a_service_is_handed_exactly_the_keys_that_it_may_hold(pod):
    mounted = {
        Path(mount["mountPath"]).name: mount["mountPath"]
        for mount in pod.containers[0]["volumeMounts"]
        if mount["name"] == "keys"
    }
    expected = {name: f"{DATA}/keys/{name}" for name in held_by(Service(pod.component))}
    assert mounted == {**expected, "peers": f"{DATA}/peers"}


def test_the_grace_period_is_longer_than_the_drain():
    assert {one.pod["terminationGracePeriodSeconds"] for one in _pods("all-in-one")} == {30}
    assert {one.pod["terminationGracePeriodSeconds"] for one in _pods("all-in-one-everything")} == {
        36
    }


@in_a_box
def test_the_pod_of_all_services_gets_ready_on_the_database_that_its_secret_names(tmp_path):
    (pod,) = _pods("all-in-one-everything")
    # An embedded store will do to show that it is the file's URL that is used.
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/url").write_text(f"sqlite:///{DATA}/named.db")
    authority = certificates(tmp_path / "tls", {"any": "any"})["any"]
    (authority / "ca.crt").rename(authority / "bundle.pem")
    given = {"caracal-database": tmp_path / "secret", "company-authorities": authority}
    files = tmp_path / "files"
    writable = _laid_out(files, pod, given)
    command = contained([PROGRAM, *pod.containers[0]["args"]], writable)
    with network() as on, boxed(on, tmp_path, files, command, _environment(pod)) as running:
        ports = _ports(pod)
        probe = pod.containers[0]["readinessProbe"]["httpGet"]
        on.becomes(f"http://127.0.0.1:{ports[probe['port']]}{probe['path']}", 200)
        on.becomes(f"http://127.0.0.1:{ports['gateway']}/health", 200)
        assert running.run("test", "-s", f"{DATA}/named.db").returncode == 0
        made = running.run(
            PROGRAM, "operator", "create", "someone", "--server", "http://127.0.0.1:8080",
            "--token-file", f"{DATA}/operator.token", as_user=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        assert running.stop() == 0


@in_a_box
def test_the_five_services_find_each_other_over_tls_and_get_ready(tmp_path):
    pods = {pod.component: pod for pod in _pods("services")}
    provision(tmp_path / "made", SystemEntropy(), None)
    name = f"{chart.RELEASE}-caracal"
    hosts = {one: f"{name}-{one}.{chart.NAMESPACE}.svc" for one in pods}
    secrets = certificates(tmp_path / "tls", {f"caracal-{one}-tls": hosts[one] for one in pods})
    for one in pods:
        keys = f"caracal-{one}-keys"
        secrets[keys] = _flat(tmp_path / "made" / one, tmp_path / "secrets" / keys)
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(network())
        running = {}
        for one, pod in pods.items():
            files = tmp_path / one / "files"
            writable = _laid_out(files, pod, secrets)
            (files / "etc").mkdir()
            lines = ("127.0.0.1 localhost", *(f"127.0.0.1 {host}" for host in hosts.values()))
            (files / "etc/hosts").write_text("\n".join(lines) + "\n")
            command = contained([PROGRAM, *pod.containers[0]["args"]], writable)
            running[one] = stack.enter_context(
                boxed(on, tmp_path / one, files, command, _environment(pod))
            )
        for pod in pods.values():
            probe = pod.containers[0]["readinessProbe"]["httpGet"]
            on.becomes(f"http://127.0.0.1:{_ports(pod)[probe['port']]}{probe['path']}", 200)
        assert {box.status()["Uid"].split()[0] for box in running.values()} == {str(USER)}
        made = running["control"].run(
            PROGRAM, "operator", "create", "someone", "--server", "http://127.0.0.1:8084",
            "--token-file", f"{DATA}/operator.token", as_user=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        for one in ("gateway", "sts", "coordinator", "control", "audit"):
            assert running[one].stop() == 0, running[one].log.read_text()
