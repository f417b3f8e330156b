"""What the release workflow signs, by the code that it runs, with a Sigstore of our own in place of the public one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from caracal_server.release.findings import ReleaseRefused
from caracal_server.release.manifest import Kind
from caracal_server.release.sums import BUNDLE
from distribution.attest import LOCKS, attest, builder_of, keyless
from distribution.faults import CannotBuild
from tests.support.release import LocalRelease
from tests.support.sigstore import Workflow

RUN = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "example/caracal",
    "GITHUB_WORKFLOW_REF": "example/caracal/.github/workflows/release.yml@refs/tags/v1.2.3",
    "GITHUB_SHA": "c" * 40,
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "2",
    "RUNNER_ENVIRONMENT": "github-hosted",
}


@pytest.fixture
def unsigned(release: LocalRelease) -> LocalRelease:
    (release.dist / BUNDLE).unlink()
    return release


def sign(release: LocalRelease) -> Callable[[bytes], bytes]:
    return lambda statement: release.sigstore.sign(statement, release.workflow)


def test_what_a_run_attests_is_what_users_verify(unsigned: LocalRelease):
    attest(unsigned.dist, unsigned.source, RUN, sign(unsigned))
    assert unsigned.verify().verified()


def test_the_statement_names_the_run_and_the_locks(unsigned: LocalRelease):
    said: list[dict] = []

    def keep(statement: bytes) -> bytes:
        said.append(json.loads(statement))
        return b"{}"

    attest(unsigned.dist, unsigned.source, RUN, keep)
    predicate = said[0]["predicate"]
    run = "https://github.com/example/caracal/actions/runs/7/attempts/2"
    assert predicate["runDetails"]["metadata"]["invocationId"] == run
    source, *locks = predicate["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": "c" * 40}
    assert [one["uri"] for one in locks] == list(LOCKS)
    assert predicate["runDetails"]["builder"]["id"] == Workflow().identity


@pytest.mark.parametrize(
    "change",
    [
        {"GITHUB_SHA": "d" * 40},
        {"GITHUB_WORKFLOW_REF": "example/caracal/.github/workflows/release.yml@refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": "example/caracal/.github/workflows/release.yml@refs/tags/v1.2.4"},
    ],
)
def test_a_run_of_something_else_signs_nothing(unsigned: LocalRelease, change: dict[str, str]):
    with pytest.raises(CannotBuild):
        attest(unsigned.dist, unsigned.source, RUN | change, sign(unsigned))
    assert not (unsigned.dist / BUNDLE).exists()


def test_what_does_not_list_what_it_holds_is_not_signed(unsigned: LocalRelease):
    (unsigned.dist / "more.txt").write_text("more")
    with pytest.raises(CannotBuild, match=r"more\.txt"):
        attest(unsigned.dist, unsigned.source, RUN, sign(unsigned))
    (unsigned.dist / "more.txt").unlink()
    (unsigned.dist / "SHA256SUMS").unlink()
    with pytest.raises(ReleaseRefused):
        attest(unsigned.dist, unsigned.source, RUN, sign(unsigned))
    assert not (unsigned.dist / BUNDLE).exists()


@pytest.mark.parametrize("name", sorted(set(RUN) - {"GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"}))
def test_outside_of_a_run_nobody_is_the_builder(name: str):
    assert builder_of(RUN).identity == Workflow().identity
    with pytest.raises(CannotBuild, match=name):
        builder_of({key: value for key, value in RUN.items() if key != name})


def test_without_an_identity_nothing_is_signed():
    with pytest.raises(CannotBuild, match="id-token"):
        keyless(b"{}")


def test_what_another_workflow_attests_users_refuse(unsigned: LocalRelease, tmp_path: Path):
    unsigned.workflow = replace(unsigned.workflow, path=".github/workflows/other.yml")
    run = RUN | {
        "GITHUB_WORKFLOW_REF": "example/caracal/.github/workflows/other.yml@refs/tags/v1.2.3"
    }
    attest(unsigned.dist, unsigned.source, run, sign(unsigned))
    assert not unsigned.verify().verified()
    assert unsigned.path(Kind.WHEEL).exists()
