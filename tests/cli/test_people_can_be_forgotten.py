"""An operator sees who it was, shows it to an auditor, and forgets it; the log stays as it was signed."""

import json
from pathlib import Path

import pytest

from caracal_server.cli.failures import ExitCode

ISSUER = "https://id.example"
ANN, BEN = "ann.of.the.hill@example.com", "ben.of.the.dale@example.com"


@pytest.fixture
def run(cli, caracal):
    return lambda *words: cli(*words, environment=caracal.environment)


@pytest.fixture
def within(run, request, tmp_path: Path) -> tuple[str, str]:
    """A zone in which an operator revoked two users."""
    name = "f-" + request.node.name.lower().replace("_", "-")[5:50]
    file = tmp_path / "zone.yaml"
    file.write_text(f"zone: {name}\napplications:\n  - name: agent\n")
    assert run("apply", str(file)).code == 0
    zone = ("--zone", name)
    for person in (ANN, BEN):
        assert run("user", "revoke", ISSUER, person, *zone, "--yes").code == 0
    return zone


def test_entries_are_shown_opened_and_found_by_person(run, within):
    lines = run("evidence", "tail", *within).out
    assert ANN in lines
    assert BEN in lines
    of_ann = run("evidence", "tail", "--subject", ISSUER, ANN, *within, "--json").document
    (entry,) = of_ann["entries"]
    assert entry["openings"]["target"]["value"] == ANN
    assert ANN not in json.dumps(entry["entry"])
    told = run("explain", entry["entry"]["request"], *within).out
    assert f"revoked the user {ANN} of {ISSUER}" in told


def test_an_export_names_nobody_unless_what_opens_it_goes_along(run, within, tmp_path):
    bundle = tmp_path / "log.jsonl"
    export = ("evidence", "export", *within, "-o", str(bundle))
    assert run(*export, "--json").document["openings"] is None
    assert ANN.encode() not in bundle.read_bytes()
    written = run(*export, "--with-openings", "--json").document
    openings = Path(written["openings"])
    assert openings == tmp_path / "log.jsonl.openings"
    assert ANN.encode() in openings.read_bytes()
    assert openings.stat().st_mode & 0o077 == 0

    verify = ("evidence", "verify", str(bundle), "--log-key", written["key"])
    held = run(*verify, "--openings", str(openings), "--json").document
    assert (held["verified"], held["opened"]) == (True, 2)
    assert run(*verify, "--json").document["opened"] is None
    assert "opened" in run(*verify, "--openings", str(openings)).out

    openings.write_bytes(openings.read_bytes().replace(ANN.encode(), BEN.encode()))
    forged = run(*verify, "--openings", str(openings))
    assert (forged.code, "does not open" in forged.first_error) == (ExitCode.REFUSED, True)
    missing = run(*verify, "--openings", str(tmp_path / "none"))
    assert (missing.code, "none" in missing.first_error) == (ExitCode.USAGE, True)


def test_a_forgotten_person_is_gone_and_old_and_new_exports_verify(run, within, tmp_path):
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    kept = run("evidence", "export", *within, "-o", str(old), "--with-openings", "--json").document
    shred = ("evidence", "shred", "--subject", ISSUER, ANN, "--reason", "case 12", *within)
    said = run(*shred).out
    assert said.startswith("shredded: 1 entry, as entry ")
    assert run(*shred).out == "nothing is held that opens such a commitment\n"

    lines = run("evidence", "tail", *within).out
    assert ANN not in lines
    assert BEN in lines
    assert "case 12" in lines
    (shredded,) = run("evidence", "tail", "--kind", "evidence.shred", *within, "--json").document[
        "entries"
    ]
    assert shredded["entry"]["target"].startswith("person ")
    gone = run("evidence", "tail", "--subject", ISSUER, ANN, *within, "--json").document
    assert gone["entries"] == []

    run("evidence", "export", *within, "-o", str(new))
    for file in (old, new):
        assert run("evidence", "verify", str(file), "--log-key", kept["key"]).code == 0
    # Whoever kept what opened it can still open it: in the new export as well.
    still = ("--openings", kept["openings"], "--log-key", kept["key"])
    assert run("evidence", "verify", str(new), *still).code == 0


def test_one_value_is_redacted_and_a_story_does_not_tell_it(run, within):
    (found,) = run("evidence", "tail", "--subject", ISSUER, BEN, *within, "--json").document[
        "entries"
    ]
    redact = ("evidence", "redact", str(found["index"]), "--reason", "typed wrong", *within)
    done = run(*redact, "--field", "target", "--json").document
    assert done["count"] == 1
    assert run(*redact, "--field", "target", "--json").document == {"count": 0, "index": None}
    refused = run(*redact, "--field", "kind")
    assert (refused.code, "commits to no kind" in refused.err) == (ExitCode.REFUSED, True)
    assert BEN not in run("explain", found["entry"]["request"], *within).out


def test_what_is_old_is_shredded(run, within):
    shred = ("evidence", "shred", "--reason", "retention", *within)
    assert run(*shred, "--before", "1d", "--json").document["count"] == 0
    assert run(*shred, "--before", "0s", "--json").document["count"] == 2


@pytest.mark.parametrize("words", [(), ("--subject", ISSUER, ANN, "--before", "1d")])
def test_either_a_person_or_an_instant_is_shredded(cli, words):
    ended = cli("evidence", "shred", "--reason", "x", *words)
    assert ended.code == ExitCode.USAGE
