"""What the workflows' steps decide: the gate, what landed, what is serious, which locks and images there are."""

import io
import json
import os
import subprocess
import sys
import tarfile
from datetime import date
from pathlib import Path

import pytest

from assurance.schedules import longest_gap
from assurance.suppressions import faults
from tools.debian_archives import sources
from tools.gate import failures
from tools.landed import landed
from tools.lock_files import lock_files
from tools.published_package import commands
from tools.release_images import bills, images, outputs, unpack
from tools.sarif import serious
from tools.verify_release import command, write_trust_root

HASH = "0" * 64


def needs(**results: str) -> str:
    return json.dumps({job: {"result": result, "outputs": {}} for job, result in results.items()})


def test_the_gate_passes_only_when_every_job_succeeded():
    assert not list(failures(needs(check="success", test="success")))
    for result in ("failure", "cancelled", "skipped"):
        assert list(failures(needs(check="success", test=result))) == [f"test: {result}"]


def test_a_skipped_job_passes_the_gate_only_where_that_is_said():
    assert not list(failures(needs(check="success", nightly="skipped"), {"nightly"}))
    assert list(failures(needs(check="success", nightly="failure"), {"nightly"}))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"check": {}}', '{"check": "success"}', "null"])
def test_a_gate_that_was_told_nothing_fails(text: str):
    assert list(failures(text))


class Repository:
    """A repository whose commits were made when it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "--quiet", "--initial-branch", "main")

    def commit(self, at: int) -> str:
        self._git("commit", "--quiet", "--allow-empty", "--message", f"at {at}", at=at)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str, at: int = 0) -> str:
        stamp = f"@{at} +0000"
        environment = {
            **os.environ, "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp, "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        }  # fmt: skip
        ran = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.strip()


def test_what_landed_since_a_moment_is_compared(tmp_path: Path):
    repository = Repository(tmp_path)
    repository.commit(1_000)
    old = repository.commit(2_000)
    repository.commit(3_000)
    new = repository.commit(4_000)
    assert landed(tmp_path, 2_500) == (old, new)
    assert "landed=true" in landed(tmp_path, 2_500).outputs()


def test_nothing_is_compared_when_nothing_landed(tmp_path: Path):
    repository = Repository(tmp_path)
    repository.commit(1_000)
    repository.commit(2_000)
    assert "landed=false" in landed(tmp_path, 2_500).outputs()


def test_a_young_repository_is_compared_with_its_first_commit(tmp_path: Path):
    repository = Repository(tmp_path)
    first = repository.commit(3_000)
    new = repository.commit(4_000)
    assert landed(tmp_path, 2_500) == (first, new)


def test_a_pull_request_is_compared_by_its_own_commits():
    given = ["--days", "3", "--base", "a" * 40, "--head", "b" * 40]
    run = [sys.executable, "-m", "tools.landed", *given]
    ran = subprocess.run(run, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [f"base={'a' * 40}", f"head={'b' * 40}", "landed=true"]


def sarif(folder: Path, **result: object) -> Path:
    rules = [
        {"id": "quiet"},
        {"id": "loud", "defaultConfiguration": {"level": "error"}},
        {"id": "severe", "properties": {"security-severity": "7.0"}},
    ]
    found = [{"message": {"text": "here"}, **result}] if result else []
    run = {"tool": {"driver": {}, "extensions": [{"rules": rules}]}, "results": found}
    (folder / "results.sarif").write_text(json.dumps({"runs": [run]}))
    return folder


@pytest.mark.parametrize(
    "result",
    [
        {"ruleId": "loud"},
        {"ruleId": "severe"},
        {"rule": {"id": "loud"}},
        {"ruleId": "quiet", "level": "error"},
    ],
)
def test_a_serious_result_is_found(tmp_path: Path, result: dict):
    assert len(list(serious(sarif(tmp_path, **result)))) == 1


def test_what_is_not_serious_passes(tmp_path: Path):
    assert not list(serious(sarif(tmp_path)))
    assert not list(serious(sarif(tmp_path, ruleId="quiet")))
    assert not list(serious(sarif(tmp_path, ruleId="loud", suppressions=[{"kind": "inSource"}])))


@pytest.mark.parametrize(
    "text", [None, "", "{}", '{"runs": []}', '{"runs": [{"tool": {"driver": {}}}]}']
)
def test_an_analysis_that_shows_nothing_fails(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "results.sarif").write_text(text)
    assert list(serious(tmp_path))


def test_a_new_lock_is_scanned_without_being_listed(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/anything.txt").write_text(f"one[extra]==1.0 \\\n    --hash=sha256:{HASH}\n")
    (tmp_path / "deep/prose.txt").write_text("one==1.0 is a version\n")
    (tmp_path / "package-lock.json").write_text("{}")
    assert [one.argument for one in lock_files(tmp_path)] == [
        "--lockfile=requirements.txt:deep/anything.txt",
        "--lockfile=package-lock.json:package-lock.json",
    ]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    folder.mkdir()
    archive = "caracal-1.2.3-images-linux-amd64.tar"
    manifest = {
        "format": "caracal-release/1",
        "version": "1.2.3",
        "artifacts": [
            {"name": "caracal-1.2.3.tar.gz", "kind": "sdist"},
            {"name": "caracal-1.2.3-py3-none-any.whl", "kind": "wheel"},
            {"name": archive, "kind": "images"},
            {"name": "caracal-1.2.3.tar.gz.cdx.json", "kind": "sbom"},
        ],
        "images": [{"name": "sts", "digest": f"sha256:{HASH}", "archive": archive}],
    }
    (folder / "release.json").write_text(json.dumps(manifest))
    with tarfile.open(folder / archive, "w") as packed:
        entry = tarfile.TarInfo("oci-layout")
        entry.size = 2
        packed.addfile(entry, io.BytesIO(b"{}"))
    return folder


def test_the_images_of_a_release_are_named_by_digest_and_in_lower_case(release: Path):
    [image] = images(release, "registry.example/Owner/Caracal")
    assert image.reference == f"registry.example/owner/caracal/sts@sha256:{HASH}"
    assert image.tag == "registry.example/owner/caracal/sts:1.2.3"
    assert image.bill == "caracal-1.2.3-images-linux-amd64.sts.cdx.json"


def test_each_file_with_a_bill_of_its_own_is_listed(release: Path):
    assert [one.subject for one in bills(release)] == [
        "caracal-1.2.3.tar.gz",
        "caracal-1.2.3-py3-none-any.whl",
    ]
    lines = outputs(release, "registry.example").splitlines()
    assert [line.partition("=")[0] for line in lines] == ["images", "sboms"]
    assert all(json.loads(line.partition("=")[2]) for line in lines)


def test_images_are_unpacked_where_a_scanner_reads_them(release: Path, tmp_path: Path):
    unpack(release, tmp_path / "images")
    assert (tmp_path / "images/oci-layout").read_bytes() == b"{}"


def test_what_the_index_serves_and_what_was_released_are_both_verified(release: Path):
    verified = [one[-1] for one in commands(release, "https://example.org/caracal")]
    assert verified == [
        "pypi:caracal-1.2.3.tar.gz",
        str(release / "caracal-1.2.3.tar.gz"),
        "pypi:caracal-1.2.3-py3-none-any.whl",
        str(release / "caracal-1.2.3-py3-none-any.whl"),
    ]


def test_the_verifier_of_the_workflows_is_the_users_command(tmp_path: Path):
    root = tmp_path / "trusted_root.json"
    write_trust_root(root, offline=True)
    (tmp_path / "release").mkdir()
    expected = {
        "REPOSITORY": "https://example.org/caracal",
        "VERSION": "v1.2.3",
        "COMMIT": "a" * 40,
    }
    run = command(str(tmp_path / "release"), root, expected)
    assert {"1.2.3", "a" * 40} < set(run)
    ran = subprocess.run([*run, "--json"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["verified"] is False


@pytest.mark.parametrize(
    ("crons", "days"),
    [
        (["1 2 * * *"], 1), (["1 2 */2 * *"], 2), (["1 2 * * 1,3,5"], 3), (["1 2 * * 1"], 7),
        (["1 2 1 * *"], 31), (["1 2 * * 1-5"], 3), (["1 2 1 * 1"], 7), (["1 2 * * 1", "1 2 * * 4"], 4),
        ([], 4 * 366),
    ],
)  # fmt: skip
def test_how_often_a_schedule_comes_round_is_computed(crons: list[str], days: int):
    assert longest_gap(crons) == days


def test_a_suppression_counts_until_its_day_and_not_after():
    text = (
        "vulnerabilities:\n  - id: CVE-2026-1\n    statement: the affected function is never called\n"
        "    expired_at: 2026-03-01\n"
    )
    assert not list(faults(text, date(2026, 3, 1)))
    assert list(faults(text, date(2026, 3, 2)))
    assert list(faults(text, date(2025, 11, 30)))


@pytest.mark.parametrize(
    "text", ["", "[]", "vulnerabilities:\n  - CVE-2026-1\n", "vulnerabilities:\n  - statement: a\n"]
)
def test_a_malformed_suppression_is_found(text: str):
    assert list(faults(text, date(2026, 3, 1)))


def test_each_archive_becomes_a_source_and_none_becomes_nothing():
    lines = sources("https://one.example/debian https://two.example/security", "trixie")
    assert lines == [
        "deb https://one.example/debian trixie main",
        "deb https://two.example/security trixie main",
    ]
    assert not sources(" ", "trixie")
