"""`caracal release verify`: what it prints, and how it ends."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from caracal_server.cli.program import app
from caracal_server.release.findings import Check
from caracal_server.release.manifest import Kind
from tests.support.release import LocalRelease


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict:
        return json.loads(self.out)


REPOSITORY = ("--repository", "https://github.com/example/caracal")


def run(release: LocalRelease, *options: str, trusting: bool = True) -> Ended:
    trust = ["--trust-root", str(release.trust_root)] if trusting else []
    words = ["release", "verify", str(release.dist), *trust, *REPOSITORY, *options]
    result = CliRunner().invoke(app, words, prog_name="caracal")
    return Ended(result.exit_code, result.stdout, result.stderr)


def outcomes(ended: Ended) -> dict[str, str]:
    return {one["check"]: one["outcome"] for one in ended.document["findings"]}


def test_a_good_release_ends_with_0_and_says_what_was_checked(release: LocalRelease):
    ended = run(release, "--version", "1.2.3", "--commit", "c" * 40)
    assert (ended.code, ended.err) == (0, "")
    assert all(check in ended.out for check in Check)
    assert ended.out.splitlines()[-1] == f"verified: caracal 1.2.3 of {'c' * 40}"


def test_without_a_trust_root_or_an_age_it_says_what_it_could_not_check_and_refuses(
    release: LocalRelease,
):
    ended = run(release, "--json", trusting=False)
    found = outcomes(ended)
    assert ended.code == 1
    assert ended.document["verified"] is False
    unchecked = {check for check, outcome in found.items() if outcome == "unchecked"}
    assert unchecked == {"signature", "provenance", "attestations", "freshness"}
    assert all(check in ended.err for check in unchecked)


def test_only_what_is_named_may_go_unchecked_and_the_last_line_says_so(release: LocalRelease):
    refused = run(release, "--accept-unchecked", "provenance")
    accepted = run(release, "--accept-unchecked", "freshness")
    assert refused.code == 1
    assert accepted.code == 0
    assert accepted.out.splitlines()[-1].endswith("but for what was not checked: freshness")


def test_a_refused_release_ends_with_1_and_names_the_reason_in_both_forms(release: LocalRelease):
    release.path(Kind.WHEEL).write_bytes(b"another wheel")
    told = run(release, "--version", "1.2.3")
    parsed = run(release, "--version", "1.2.3", "--json")
    assert (told.code, parsed.code) == (1, 1)
    assert "changed_file: caracal-1.2.3-py3-none-any.whl" in told.out
    assert "is refused: sums" in told.err
    reasons = [
        refusal["reason"] for one in parsed.document["findings"] for refusal in one["refusals"]
    ]
    assert "changed_file" in reasons


def test_a_release_that_nobody_vouched_for_is_not_remembered(release: LocalRelease, tmp_path: Path):
    state = tmp_path / "seen.json"
    done_without = [
        word
        for check in ("signature", "provenance", "attestations")
        for word in ("--accept-unchecked", check)
    ]
    assert run(release, "--state", str(state), *done_without, trusting=False).code == 0
    assert not state.exists()


def test_the_state_file_remembers_only_what_verified(release: LocalRelease, tmp_path: Path):
    state = tmp_path / "seen.json"
    wheel = release.path(Kind.WHEEL)
    good = wheel.read_bytes()
    wheel.write_bytes(b"another wheel")
    assert run(release, "--state", str(state)).code == 1
    assert not state.exists()
    wheel.write_bytes(good)
    assert run(release, "--state", str(state)).code == 0
    assert json.loads(state.read_text())["version"] == "1.2.3"
    assert run(release, "--state", str(state)).code == 0
    state.write_text("{")
    broken = run(release, "--state", str(state), "--json")
    assert outcomes(broken)["freshness"] == "refused"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--trust-root", "no-such-file"], "trust root"),
        (["--not-older-than", "soon"], "--not-older-than"),
        (["--accept-unchecked", "everything"], "everything"),
    ],
)
def test_options_that_make_no_sense_end_with_2(
    release: LocalRelease, options: list[str], says: str
):
    ended = run(release, "--version", "1.2.3", *options)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_directory_that_is_not_there_ends_with_2(release: LocalRelease):
    release.dist = release.dist / "nowhere"
    assert run(release).code == 2


def test_without_the_extra_it_names_the_extra_and_refuses(release: LocalRelease, tmp_path: Path):
    """A process in which the library can not be imported, as where the extra is not installed."""
    hidden = tmp_path / "hidden"
    (hidden / "sigstore").mkdir(parents=True)
    (hidden / "sigstore/__init__.py").write_text("raise ModuleNotFoundError(name='sigstore')\n")
    words = ["release", "verify", str(release.dist), "--trust-root", str(release.trust_root)]
    done = subprocess.run(
        [sys.executable, "-m", "caracal_server.cli", *words, *REPOSITORY, "--json"],
        env={"PYTHONPATH": str(hidden)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    findings = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert findings["signature"]["outcome"] == "unchecked"
    assert "caracal[release]" in findings["signature"]["says"]
