"""git over HTTP, against a real Git server whose token only the provider holds."""

import pytest

from tests.run.git_server import USER, WORD, git
from tests.run.launching import Launching, found
from tests.support.deployment import PERMIT_ALL

GIT = "resource://git"
CODE = "https://code.example/team"
OPERATIONS = {
    "GET /{repository}/info/refs": "git:read",
    "POST /{repository}/git-upload-pack": "git:read",
    "POST /{repository}/git-receive-pack": "git:write",
}
WORK = f"""
set -e
git -c init.defaultBranch=main clone --quiet {CODE}/project.git work
cd work
git remote get-url origin
git config --get remote.origin.url
echo "$1" > NEW
git add NEW
git -c user.name=Agent -c user.email=agent@example.com commit --quiet -m "$1"
git push --quiet origin HEAD:main
"""


@pytest.fixture(scope="module")
def coding(deployment, repository) -> Launching:
    zone = deployment.zone(
        applications=[{"name": "agent"}],
        providers=[{"name": "git", "kind": "http_basic", "username": USER, "secret": WORD}],
        resources=[
            {
                "identifier": GIT,
                "upstream": f"http://{repository.authority}",
                "provider": "git",
                "operations": OPERATIONS,
            }
        ],
        policy=PERMIT_ALL,
    )
    found("git")
    return Launching(
        zone,
        environment={"CARACAL_RESOURCES": f"{GIT}={CODE}", "GIT_CONFIG_NOSYSTEM": "1"},
        options=("--resource", f"{GIT}=git:read,git:write"),
    )


def test_it_clones_and_pushes_without_ever_having_the_token(coding, repository, tmp_path):
    done = coding.run("sh", "-c", f"cd {tmp_path}; {WORK}", "sh", "From an agent")
    assert done.returncode == 0, done.stderr
    assert repository.log().splitlines() == ["From an agent", "First"]
    assert repository.refused == []
    stored = (tmp_path / "work" / ".git" / "config").read_text()
    assert f"url = {CODE}/project.git" in stored, "what is written down leads to the upstream"
    assert "127.0.0.1" not in stored


def test_a_large_push_streams_in_chunks(coding, repository, tmp_path):
    script = f"""
set -e
cd {tmp_path}
git clone --quiet {CODE}/project.git work
cd work
head -c 3000000 /dev/urandom > LARGE
git add LARGE
git -c user.name=Agent -c user.email=agent@example.com commit --quiet -m Large
git -c http.postBuffer=65536 push --quiet origin HEAD:large
"""
    done = coding.run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    folder = str(repository.folder / "project.git")
    assert git("--git-dir", folder, "cat-file", "-s", "large:LARGE").strip() == "3000000"


def test_a_push_without_its_scope_is_refused_and_said(coding, repository, tmp_path):
    before = repository.log()
    reading = ("--resource", f"{GIT}=git:read")
    done = coding.run("sh", "-c", f"cd {tmp_path}; {WORK}", "sh", "Not this", options=reading)
    assert done.returncode != 0
    assert "error: 403" in done.stderr
    assert "caracal: POST /{repository}/git-receive-pack needs the scope git:write" in done.stderr
    assert repository.log() == before
