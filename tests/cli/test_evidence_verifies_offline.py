"""`caracal evidence verify` needs a file and nothing else, and believes nothing it can not check."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import MAX_LINE_BYTES, Contents
from caracal.evidence.canonical import canonical_json
from caracal.evidence.tree import leaf_hash
from caracal_server.cli.failures import ExitCode
from tests.evidence.signing import key_pair, signed_log

ENTRIES = [canonical_json({"kind": "call", "request": f"r-{number}"}) for number in range(7)]
NOTE, KEY = signed_log(ENTRIES)


def whole_bundle() -> bytes:
    writer = BundleWriter(NOTE, KEY, Contents.WHOLE)
    lines = [writer.header()]
    lines += [writer.entry(at, entry, leaf_hash(entry)) for at, entry in enumerate(ENTRIES)]
    return b"".join([*lines, writer.closing()])


BUNDLE = whole_bundle()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "evidence.jsonl"
    file.write_bytes(BUNDLE)
    return file


def test_a_bundle_verifies_with_the_key_that_is_given(cli, bundle):
    ended = cli("evidence", "verify", str(bundle), "--log-key", KEY.render())
    assert ended.code == 0
    last = ended.out.splitlines()[-1]
    assert last == "verified: 7 entries, tree size 7, origin caracal.example/log"
    assert KEY.render() in ended.out
    assert "the file itself" not in ended.out


def test_without_a_key_it_says_what_is_not_proven(cli, bundle):
    ended = cli("evidence", "verify", str(bundle))
    assert ended.code == 0
    assert "not who that was" in ended.out
    assert ended.out.splitlines()[-1].startswith("verified: 7 entries")


def test_the_document_says_the_same(cli, bundle):
    found = cli("evidence", "verify", str(bundle), "--json").document
    assert found["verified"] is True
    assert (found["entries"], found["size"], found["contents"]) == (7, 7, "whole")
    assert (found["origin"], found["key"]) == ("caracal.example/log", KEY.render())
    assert found["key_source"] == "embedded"
    given = cli("evidence", "verify", str(bundle), "--log-key", KEY.render(), "--json")
    assert given.document["key_source"] == "given"


def test_an_altered_entry_is_named_first(cli, bundle):
    bundle.write_bytes(BUNDLE.replace(b'"r-4"', b'"r-5"', 1))
    ended = cli("evidence", "verify", str(bundle), "--log-key", KEY.render())
    assert ended.code == ExitCode.REFUSED
    assert "entry 4" in ended.first_error
    assert ended.out == ""
    found = cli("evidence", "verify", str(bundle), "--json")
    assert found.code == ExitCode.REFUSED
    assert (found.document["verified"], found.document["entry"], found.document["line"]) == (
        False,
        4,
        6,
    )


def test_another_key_does_not_verify(cli, bundle):
    other, _ = key_pair("caracal.example/log", seed=2)
    ended = cli("evidence", "verify", str(bundle), "--log-key", other.render())
    assert ended.code == ExitCode.REFUSED
    assert "another key" in ended.first_error


def test_a_key_that_is_none_is_a_wrong_line(cli, bundle):
    assert cli("evidence", "verify", str(bundle), "--log-key", "nonsense").code == ExitCode.USAGE


def test_a_directory_is_no_bundle(cli, tmp_path):
    assert cli("evidence", "verify", str(tmp_path)).code == ExitCode.USAGE


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", BUNDLE[:-1], BUNDLE[: len(BUNDLE) // 2], BUNDLE + b"\n", BUNDLE * 2, b"\xff" * 99],
    ids=["empty", "blank", "no line feed", "cut", "more", "twice", "binary"],
)
def test_what_is_not_the_whole_bundle_does_not_verify(cli, bundle, content):
    bundle.write_bytes(content)
    assert cli("evidence", "verify", str(bundle)).code == ExitCode.REFUSED


def test_a_line_without_end_is_not_read_into_memory(cli, bundle):
    with bundle.open("wb") as stream:
        stream.write(BUNDLE.split(b"\n", 1)[0] + b'\n{"entry":"')
        stream.truncate(40 * MAX_LINE_BYTES)
    ended = cli("evidence", "verify", str(bundle))
    assert ended.code == ExitCode.REFUSED
    assert f"at most {MAX_LINE_BYTES} bytes" in ended.first_error


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(BUNDLE) - 1), bit=st.integers(0, 7))
def test_no_bit_changes_unnoticed(cli, bundle, place, bit):
    changed = bytearray(BUNDLE)
    changed[place] ^= 1 << bit
    bundle.write_bytes(changed)
    ended = cli("evidence", "verify", str(bundle), "--log-key", KEY.render())
    assert ended.code == ExitCode.REFUSED
    assert "verified:" not in ended.out


def test_a_file_can_not_drive_the_terminal(cli, bundle):
    header = msgspec.json.decode(BUNDLE.split(b"\n", 1)[0])
    header["checkpoint"] = "\x1b]0;owned\x07\n\n"
    bundle.write_bytes(msgspec.json.encode(header) + b"\n")
    ended = cli("evidence", "verify", str(bundle))
    assert ended.code == ExitCode.REFUSED
    assert "\x1b" not in ended.out + ended.err
