"""The installed files are held against the wheel's RECORD."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from caracal_server.adapters.installation import State, read_installation
from caracal_server.assembly.installed import InstallationRefused, require_installation

ROOT = Path(__file__).parents[2]
MODULE = "caracal/authority/scopes.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "hatchling", "build", "--target=wheel", f"--directory={folder}"]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture
def place(wheel, tmp_path) -> Path:
    """A folder of packages that holds the wheel's files, as an image does."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "packages")
    return tmp_path / "packages"


def read(place: Path, running: Path | None = None):
    return read_installation(running or place / "caracal_server", [str(place)])


def metadata(place: Path) -> Path:
    return next(place.glob("caracal-*.dist-info"))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_what_a_wheel_brought_is_intact_and_its_digest_is_what_sha256sum_makes_of_it(place):
    found = read(place)
    assert (found.state, found.differences, found.detail) == (State.INTACT, (), "")
    script = (
        "find caracal caracal_server -type f ! -path '*/__pycache__/*' | LC_ALL=C sort"
        " | xargs sha256sum | sha256sum"
    )
    printed = subprocess.run(
        ["sh", "-c", script], cwd=place, check=True, capture_output=True, text=True
    )
    assert printed.stdout.split()[0] == found.digest
    assert found.files > 200


def test_bytecode_that_python_caches_changes_nothing(place):
    before = read(place)
    cached = place / "caracal/__pycache__/secret.cpython-311.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"anything")
    assert read(place) == before


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda place: flip(place / MODULE), f"{MODULE} was changed"),
        (lambda place: (place / MODULE).unlink(), f"{MODULE} is missing"),
        (
            lambda place: (place / "caracal/more.py").write_text(""),
            "caracal/more.py came in addition",
        ),
        (
            lambda place: (place / "caracal/x.pyc").write_bytes(b""),
            "caracal/x.pyc came in addition",
        ),
        (lambda place: flip(metadata(place) / "METADATA"), "METADATA was changed"),
        (
            lambda place: (metadata(place) / "entry_points.txt").unlink(),
            "entry_points.txt is missing",
        ),
    ],
    ids=["byte", "missing", "added", "added-bytecode", "metadata", "metadata-missing"],
)
def test_any_difference_is_found_and_named(place, alter: Callable[[Path], object], said: str):
    before = read(place)
    alter(place)
    found = read(place)
    assert found.state is State.DIFFERENT
    assert len(found.differences) == 1
    assert said in found.detail
    changed_code = "dist-info" not in found.detail
    assert (found.digest != before.digest) is changed_code


def test_several_differences_are_counted(place):
    flip(place / MODULE)
    (place / "caracal/more.py").write_text("")
    assert read(place).detail.endswith("and 1 more")


def test_a_record_that_gives_no_hash_for_a_module_vouches_for_nothing(place):
    record = metadata(place) / "RECORD"
    lines = record.read_text().splitlines()
    record.write_text(
        "\n".join(f"{MODULE},," if line.startswith(MODULE) else line for line in lines)
    )
    assert read(place).state is State.DIFFERENT


@pytest.mark.parametrize("line", ["a,sha256=x,many", "a,b,1,d,e", "x\0,sha256=x,1"])
def test_a_record_that_makes_no_sense_vouches_for_nothing(place, line):
    record = metadata(place) / "RECORD"
    record.write_text(f"{record.read_text()}{line}\n")
    assert read(place).state is State.DIFFERENT


def test_a_record_with_a_weaker_hash_vouches_for_nothing(place):
    record = metadata(place) / "RECORD"
    weak = base64.urlsafe_b64encode(hashlib.md5((place / MODULE).read_bytes()).digest()).decode()
    entry = f"{MODULE},md5={weak.rstrip('=')},1"
    lines = record.read_text().splitlines()
    record.write_text("\n".join(entry if line.startswith(MODULE) else line for line in lines))
    assert read(place).state is State.DIFFERENT


def test_code_that_runs_beside_the_installed_one_is_a_difference(place, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "other")
    found = read(place, tmp_path / "other/caracal_server")
    assert found.state is State.DIFFERENT
    assert "not where it is installed" in found.detail


def test_without_a_record_of_the_code_nothing_is_claimed(place, tmp_path):
    editable = metadata(place)
    lines = [line for line in (editable / "RECORD").read_text().splitlines() if "dist-info" in line]
    (editable / "RECORD").write_text("\n".join(["caracal.pth,sha256=x,1", *lines]))
    (editable / "direct_url.json").write_text('{"dir_info": {"editable": true}, "url": "file:///"}')
    found = read(place)
    assert (found.state, found.differences) == (State.UNKNOWN, ())
    assert "editable" in found.detail
    assert "no distribution" in read_installation(place / "caracal_server", [str(tmp_path)]).detail


@pytest.mark.parametrize("origin", ["", "{", '{"dir_info": {}}', '{"archive_info": {}}'])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_record_that_is_gone_is_a_difference_and_no_editable_installation(place, origin, emptied):
    record = metadata(place) / "RECORD"
    record.write_text("") if emptied else record.unlink()
    (metadata(place) / "direct_url.json").write_text(origin)
    found = read(place)
    assert found.state is State.DIFFERENT
    assert "RECORD is missing" in found.detail


def test_strict_mode_lets_only_the_intact_start(place):
    require_installation({"STRICT_INSTALLATION": True}, read(place))
    flip(place / MODULE)
    different = read(place)
    require_installation({"STRICT_INSTALLATION": False}, different)
    with pytest.raises(InstallationRefused, match=r"CARACAL_STRICT_INSTALLATION .*/scopes\.py"):
        require_installation({"STRICT_INSTALLATION": True}, different)
    unknown = read_installation(place / "caracal_server", [])
    with pytest.raises(InstallationRefused, match="can not be judged"):
        require_installation({"STRICT_INSTALLATION": True}, unknown)


def test_an_installed_wheel_verifies_and_starts_until_a_byte_of_it_changes(wheel, tmp_path):
    """With pip, into an environment of its own; only the dependencies are borrowed from this one."""
    venv.create(tmp_path / "v", with_pip=False)
    python = tmp_path / "v/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-compile", wheel], check=True, capture_output=True)
    (packages,) = (tmp_path / "v/lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    strict = os.environ | {"CARACAL_STRICT_INSTALLATION": "true"}

    def caracal(*arguments: str) -> subprocess.CompletedProcess:
        command = [python, "-m", "caracal_server.cli", *arguments]
        return subprocess.run(
            command, env=strict, capture_output=True, text=True, timeout=60, check=False
        )

    verified = caracal("verify-install", "--json")
    assert (verified.returncode, json.loads(verified.stdout)["state"]) == (0, "intact")
    command = [python, "-m", "caracal_server.cli", "up", "--json", "--data", tmp_path / "d"]
    free = ["--control", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]
    with subprocess.Popen([*command, *free], env=strict, stdout=-1, stderr=-1, text=True) as up:
        ready = json.loads(up.stdout.readline())
        token = ("--token-file", ready["operator_token_file"])
        status = json.loads(
            caracal("status", "--json", "--server", ready["control"], *token).stdout
        )
        up.terminate()
        _, logged = up.communicate(timeout=60)
    digest = json.loads(verified.stdout)["digest"]
    assert status["installation"] == {"state": "intact", "digest": digest, "detail": ""}
    assert "installation" in logged
    assert digest in logged
    assert "intact" in logged

    content = bytearray((packages / MODULE).read_bytes())
    content[3] ^= 1
    (packages / MODULE).write_bytes(content)
    verified = caracal("verify-install", "--json")
    assert verified.returncode == 1
    assert json.loads(verified.stdout)["differences"] == [
        f"{MODULE} was changed, or can not be read"
    ]
    refused = caracal("up", "--data", str(tmp_path / "never"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "caracal: could not start: CARACAL_STRICT_INSTALLATION is true"
    )
    assert MODULE in refused.stderr
    assert not (tmp_path / "never").exists()


def test_a_working_copy_says_plainly_that_nothing_vouches_for_it():
    found = read_installation()
    if found.state is not State.UNKNOWN:
        pytest.skip("the tests run on an installed wheel")
    assert "no RECORD lists them" in found.detail
