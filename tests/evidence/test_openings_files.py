"""A file of openings says what commitments stood for, and nothing else passes for it."""

import json

import pytest

from caracal.evidence.bundle_lines import EntryLine, render_closing, render_entry
from caracal.evidence.commitments import Openings, commit, make_opening
from caracal.evidence.errors import BundleError
from caracal.evidence.openings import HeldOpenings, OpeningsWriter
from caracal.evidence.tree import leaf_hash

SALT = bytes(range(32))
ALICE: Openings = {"subject": make_opening(SALT, "alice")}


def entry_line(index: int, committed: dict[str, str]) -> bytes:
    entry = json.dumps({"committed": committed}, separators=(",", ":")).encode()
    return render_entry(EntryLine(index, entry, leaf_hash(entry), None))


COMMITTING = entry_line(1, {"subject": commit(SALT, "alice")})
BUNDLE = [b"header\n", entry_line(0, {}), COMMITTING, entry_line(2, {})]


def written(*entries: tuple[int, Openings]) -> list[bytes]:
    writer = OpeningsWriter("log.example/evidence/z")
    lines = [writer.header()]
    lines += [writer.entry(index, openings) for index, openings in entries]
    return [*lines, writer.closing()]


def held(lines: list[bytes], bundle: list[bytes] = BUNDLE) -> HeldOpenings:
    holding = HeldOpenings(lines)
    for line in bundle:
        holding.take(line)
    holding.finish()
    return holding


def test_openings_that_fit_their_entries_are_counted() -> None:
    holding = held(written((1, ALICE)))
    assert (holding.origin, holding.count) == ("log.example/evidence/z", 1)
    assert held(written()).count == 0


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([(1, {"subject": make_opening(SALT, "bob")})], "entry 1: an opening does not open"),
        (
            [(1, {"detail": make_opening(SALT, "alice")})],
            "entry 1: an entry commits to no 'detail'",
        ),
        ([(2, ALICE)], "entry 2: an entry commits to no 'subject'"),
        ([(3, ALICE)], "entry 3: openings of an entry that the bundle does not hold"),
        ([(1, ALICE), (1, ALICE)], "out of turn"),
        ([(1, ALICE), (0, ALICE)], "out of turn"),
    ],
)
def test_whatever_else_is_said_of_entries_is_named(
    entries: list[tuple[int, Openings]], reason: str
) -> None:
    with pytest.raises(BundleError, match=reason):
        held(written(*entries))


def test_openings_of_an_entry_that_was_left_out_are_named() -> None:
    with pytest.raises(BundleError, match="entry 1: openings of an entry that the bundle"):
        held(written((1, ALICE)), [BUNDLE[1], BUNDLE[3]])


def test_an_entry_that_is_not_json_any_more_commits_to_nothing() -> None:
    broken = COMMITTING.replace(b'{"committed"', b'["committed"')
    with pytest.raises(BundleError, match="entry 1"):
        held(written((1, ALICE)), [broken])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda lines: [], "header"),
        (lambda lines: [b"\xff\n", *lines[1:]], "header"),
        (lambda lines: lines[:-1], "without a closing line"),
        (lambda lines: [*lines, b"{}\n"], "follows the closing line"),
        (lambda lines: [*lines[:-1], render_closing(2, "0" * 64)], "does not match"),
        (lambda lines: [lines[0], lines[1].replace(b":{", b": {", 1), lines[2]], "not canonical"),
        (lambda lines: [lines[0], b"[]\n", lines[2]], "not a line"),
        (lambda lines: [lines[0], lines[1].replace(b"alice", b"\\ud800"), lines[2]], "not a line"),
    ],
)
def test_a_file_that_is_not_as_it_is_written_is_refused(spoil, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        held(spoil(written((1, ALICE))))


def test_a_file_is_read_to_its_end_even_if_the_bundle_is_shorter() -> None:
    with pytest.raises(BundleError, match="entry 1: openings of an entry"):
        held(written((1, ALICE)), [BUNDLE[0]])
