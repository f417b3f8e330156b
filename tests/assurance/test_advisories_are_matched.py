"""The advisory gate: what it finds, what it leaves out, and that it never answers without data."""

import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from assurance import advisories
from assurance.checks import NotRunHere
from assurance.checks.advisories import DATA, no_locked_version_is_affected

HASH = "a" * 64


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    lock = tmp_path / "tree/requirements/server.txt"
    lock.parent.mkdir(parents=True)
    lock.write_text(f"invented-web==2.1.0 \\\n    --hash=sha256:{HASH}\n")
    return tmp_path / "tree"


def advisory(folder: Path, name: str, age: timedelta = timedelta(hours=1)) -> Path:
    folder.mkdir(exist_ok=True)
    event = [{"introduced": "2.0"}, {"fixed": "2.2"}]
    package = {"ecosystem": "PyPI", "name": name}
    content = {
        "id": "TEST-1",
        "aliases": ["CVE-0000-1"],
        "modified": datetime.now(UTC) - age,
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": event}]}],
    }
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(content))
    return folder


def run(tree: Path, data: Path, *more: str) -> int:
    return advisories.main(["--root", str(tree), "--data", str(data), *more])


def ignore(
    tree: Path, days: int, reason: str = "the affected function is never called here"
) -> None:
    until = (datetime.now(UTC) + timedelta(days=days)).date()
    (tree / "osv-scanner.toml").write_text(
        f'[[IgnoredVulns]]\nid = "CVE-0000-1"\nignoreUntil = {until}\nreason = "{reason}"\n'
    )


def test_an_affected_version_fails_and_is_named_with_its_repair(tree, tmp_path, capsys):
    assert run(tree, advisory(tmp_path / "data", "Invented.Web")) == 1
    printed = capsys.readouterr().out
    assert "invented-web 2.1.0: TEST-1, CVE-0000-1" in printed
    assert "fixed in 2.2" in printed


def test_data_about_other_packages_pass_and_their_age_is_printed(tree, tmp_path, capsys):
    assert run(tree, advisory(tmp_path / "data", "other", timedelta(days=1))) == 0
    assert (
        "1 advisories, the newest 1.0 days old, over 1 locked versions" in capsys.readouterr().out
    )


def test_a_zip_is_read_as_a_folder_is(tree, tmp_path):
    folder = advisory(tmp_path / "data", "invented-web")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(folder / "invented-web.json", "invented-web.json")
    assert run(tree, tmp_path / "all.zip") == 1


def test_old_data_say_nothing_unless_they_are_made_for_tests(tree, tmp_path, capsys):
    data = advisory(tmp_path / "data", "other", timedelta(days=4))
    assert run(tree, data) == 2
    assert run(tree, data, "--max-age-days", "5") == 0
    assert run(tree, data, "--test-data") == 0
    assert "this says nothing about what is known today" in capsys.readouterr().out


def test_data_from_the_future_say_nothing(tree, tmp_path):
    assert run(tree, advisory(tmp_path / "data", "other", -timedelta(days=2))) == 2


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"id": 7}', b"- not\n- one\n"])
def test_absent_empty_or_malformed_data_say_nothing(tree, tmp_path, content):
    data = tmp_path / "data"
    data.mkdir()
    if content is not None:
        (data / "one.json").write_bytes(content)
        (data / "two.yaml").write_bytes(content)
    assert run(tree, data) == 2
    assert run(tree, data, "--test-data") == 2
    assert run(tree, tmp_path / "nowhere") == 2


def test_a_tree_without_locks_is_not_cleared(tmp_path):
    assert run(tmp_path, advisory(tmp_path / "data", "other")) == 2


def test_an_ignored_advisory_is_shown_and_does_not_count(tree, tmp_path, capsys):
    ignore(tree, 30)
    assert run(tree, advisory(tmp_path / "data", "invented-web")) == 0
    assert "ignored  invented-web 2.1.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("days", "reason"), [(-1, "it was fine for a while"), (120, "for long" * 5), (9, "")]
)
def test_an_entry_that_is_expired_endless_or_unargued_ignores_nothing(tree, tmp_path, days, reason):
    ignore(tree, days, reason)
    assert run(tree, advisory(tmp_path / "data", "invented-web")) == 1


def test_the_check_runs_on_named_data_only_and_fails_on_old_ones(tree, tmp_path, monkeypatch):
    monkeypatch.delenv(DATA, raising=False)
    with pytest.raises(NotRunHere):
        no_locked_version_is_affected(tree)
    monkeypatch.setenv(DATA, str(advisory(tmp_path / "data", "other")))
    assert no_locked_version_is_affected(tree) == []
    advisory(tmp_path / "data", "invented-web")
    assert len(no_locked_version_is_affected(tree)) == 1
    monkeypatch.setenv(DATA, str(advisory(tmp_path / "old", "other", timedelta(days=9))))
    assert "9 days old" in no_locked_version_is_affected(tree)[0]
    monkeypatch.setenv(DATA, str(tmp_path / "nowhere"))
    assert no_locked_version_is_affected(tree)
