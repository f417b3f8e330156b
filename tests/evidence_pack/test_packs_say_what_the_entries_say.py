"""A pack answers from verified entries only, and every answer changes when an event is taken out."""

import contextlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.canonical import canonical_json
from caracal.evidence.tree import leaf_hash
from caracal_server.evidence_pack import archive
from caracal_server.evidence_pack.faults import PackFault
from caracal_server.evidence_pack.packing import MANIFEST, OSCAL, STATEMENTS, make, verify
from caracal_server.evidence_pack.questions import Examination, Outcome, Period
from caracal_server.evidence_pack.statements import Query, load_statements
from tests.evidence.rests import rest
from tests.evidence.signing import key_pair, signed_log

ROOT = Path(__file__).parents[2]
EVER = Period(0, 2**52)
ALLOW, REFUSE = Verdict.ALLOW, Verdict.REFUSE


def entry(kind: Kind, request: str, at: int = 10, **more: object) -> Entry:
    return Entry(format=ENTRY_FORMAT, kind=kind, zone="zone-1", at=at, request=request, **more)


CALL = {
    "application": "app-1", "resource": "resource://api", "operation": "GET /rows",
    "scopes": "rows:read", "policy": "sha256:00", "policies": ("read",),
}  # fmt: skip
STORY = (
    entry(Kind.ZONE_APPLY, "r-0", actor="root (t-1)"),
    entry(Kind.EXCHANGE, "r-1", verdict=ALLOW, mandate="m-1"),
    entry(Kind.CALL, "r-2", verdict=ALLOW, mandate="m-1", **CALL),
    entry(Kind.CALL_RESULT, "r-2", answers="r-2", status=200),
    entry(Kind.EXCHANGE, "r-3", verdict=REFUSE, reason="policy_denied"),
    entry(Kind.EXCHANGE, "r-4", at=20, verdict=ALLOW, mandate="m-2"),
    entry(Kind.CALL, "r-5", at=20, verdict=ALLOW, mandate="m-2", **CALL),
    entry(Kind.CALL_RESULT, "r-5", at=20, answers="r-5", status=200),
)


def bundle(story: Sequence[Entry]) -> tuple[bytes, object]:
    entries = [canonical_json(msgspec.to_builtins(one)) for one in story]
    note, key = signed_log(entries, "caracal.test/evidence/zone-1")
    writer = BundleWriter(note, key, Contents.WHOLE)
    lines = [writer.header()]
    lines += [writer.entry(at, one, leaf_hash(one)) for at, one in enumerate(entries)]
    return b"".join([*lines, writer.closing()]), key


def test_a_rest_is_packed_for_a_period_that_it_holds_all_of(tmp_path):
    dropped = entry(Kind.EVIDENCE_DROP, "r-6", at=20, actor="root (t-1)", end_index=1)
    entries = [canonical_json(msgspec.to_builtins(one)) for one in (*STORY, dropped)]
    for first, since, fault in (
        (1, 9, "what was before was dropped"),
        (5, 10, "are missing"),
        (1, 10, ""),
    ):
        log = tmp_path / f"{first}-{since}.jsonl"
        log.write_bytes(b"".join(rest(entries, first, name="caracal.test/evidence/zone-1")))
        made, period = io.BytesIO(), Period(since, 2**52)
        with pytest.raises(PackFault, match=fault) if fault else contextlib.nullcontext():
            make(made, logs={"zone-1": log}, period=period, version="1", more={})
    (tmp_path / "pack.zip").write_bytes(made.getvalue())
    report = verify(tmp_path / "pack.zip", [key_pair("caracal.test/evidence/zone-1")[0]])
    assert report.manifest.logs[0].size == len(entries) - 1


def test_a_rest_is_held_to_when_its_first_entry_was_recorded(tmp_path):
    """What was dropped may have been decided after what the first kept entry, recorded late, is about."""
    late = msgspec.structs.replace(STORY[1], sequenced_at=15)
    dropped = entry(Kind.EVIDENCE_DROP, "r-6", at=20, actor="root (t-1)", end_index=1)
    entries = [
        canonical_json(msgspec.to_builtins(one)) for one in (STORY[0], late, *STORY[2:], dropped)
    ]
    log = tmp_path / "rest.jsonl"
    log.write_bytes(b"".join(rest(entries, 1, name="caracal.test/evidence/zone-1")))
    with pytest.raises(PackFault, match="what was before was dropped"):
        make(io.BytesIO(), logs={"zone-1": log}, period=Period(14, 2**52), version="1", more={})
    make(io.BytesIO(), logs={"zone-1": log}, period=Period(15, 2**52), version="1", more={})


@pytest.mark.parametrize(
    ("first", "later", "wrong"), [(0, 0, 1), (7, 0, 0), (7, 3599_999_999, 0), (7, 3600_000_000, 1)]
)
def test_what_a_rest_goes_back_to_may_have_been_dropped(first, later, wrong):
    """For as long as a mandate may live; a log that is whole has no such excuse."""
    period = Examination(EVER)
    period.take(first, entry(Kind.SERVICE_START, "r-0"))
    mandate = {**CALL, "mandate": "m-dropped"}
    period.take(first + 1, entry(Kind.CALL, "r-1", at=10 + later, verdict=ALLOW, **mandate))
    period.take(first + 2, entry(Kind.CALL_RESULT, "r-9", at=10 + later, answers="r-dropped"))
    found = {answer.query: answer.wrong for answer in period.answers()}
    assert found[Query.CALLS_REST_ON_A_MANDATE] == wrong
    assert found[Query.RESULTS_ANSWER_A_DECISION] == wrong


def wrong_of(*story: Entry) -> dict[Query, int]:
    period = Examination(EVER)
    for index, one in enumerate(story):
        period.take(index, one)
    return {answer.query: answer.wrong for answer in period.answers()}


def test_a_narrowed_mandate_rests_on_the_one_that_was_minted():
    minted = entry(Kind.EXCHANGE, "r-1", verdict=ALLOW, mandate="m-1")
    call = {**CALL, "mandate": "link-2", "narrowed": ("m-1", "link-1")}
    used = entry(Kind.CALL, "r-2", verdict=ALLOW, **call)
    assert wrong_of(minted, used)[Query.CALLS_REST_ON_A_MANDATE] == 0
    assert wrong_of(used)[Query.CALLS_REST_ON_A_MANDATE] == 1
    assert wrong_of(minted, used, used)[Query.MANDATES_ARE_USED_ONCE] == 1


def test_only_an_access_mandate_is_good_for_many_calls():
    used = [entry(Kind.CALL, f"r-{n}", verdict=ALLOW, mandate="m-1", **CALL) for n in (2, 3)]
    for of_class, wrong in (("access", 0), ("", 1)):
        minted = entry(Kind.EXCHANGE, "r-1", verdict=ALLOW, mandate="m-1", mandate_class=of_class)
        assert wrong_of(minted, *used)[Query.MANDATES_ARE_USED_ONCE] == wrong


def packed(folder: Path, story: Sequence[Entry] = STORY, period: Period = EVER) -> Path:
    log = folder / "zone-1.jsonl"
    log.write_bytes(bundle(story)[0])
    made = io.BytesIO()
    make(
        made, logs={"zone-1": log}, period=period, version="1", more={"release/release.json": b"{}"}
    )
    file = folder / "pack.zip"
    file.write_bytes(made.getvalue())
    return file


def answers(file: Path) -> dict[Query, tuple[int, tuple[int, ...]]]:
    [log] = verify(file, []).manifest.logs
    return {one.query: (one.asked, one.entries) for one in log.answers}


def repacked(file: Path, **replaced: bytes | None) -> Path:
    with zipfile.ZipFile(file) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    for name, content in replaced.items():
        if content is None:
            del members[name]
        else:
            members[name] = content
    other = file.with_name("other.zip")
    with other.open("wb") as stream:
        archive.write(stream, members)
    return other


def test_a_story_that_is_whole_bears_every_statement_out(tmp_path):
    report = verify(packed(tmp_path), [bundle(STORY)[1]])
    assert report.trusted
    assert {stated.outcome for stated in report.statements} == {Outcome.BORNE_OUT}
    assert answers(tmp_path / "pack.zip")[Query.CALLS_REST_ON_A_MANDATE] == (2, ())


@pytest.mark.parametrize(
    ("gone", "query"),
    [
        (1, Query.CALLS_REST_ON_A_MANDATE),
        (2, Query.RESULTS_ANSWER_A_DECISION),
        (5, Query.CALLS_REST_ON_A_MANDATE),
        (6, Query.RESULTS_ANSWER_A_DECISION),
    ],
)
def test_one_event_that_was_left_out_before_signing_makes_its_statements_fail(
    tmp_path, gone, query
):
    file = packed(tmp_path, [one for at, one in enumerate(STORY) if at != gone])
    assert answers(file)[query][1]
    for stated in verify(file, []).statements:
        assert stated.outcome is (
            Outcome.NOT_BORNE_OUT if query in stated.statement.queries else Outcome.BORNE_OUT
        )


@pytest.mark.parametrize(
    ("at", "changed", "query"),
    [
        (0, {"actor": ""}, Query.CHANGES_NAME_WHO),
        (4, {"reason": ""}, Query.REFUSALS_SAY_WHY),
        (6, {"mandate": "m-1"}, Query.MANDATES_ARE_USED_ONCE),
        (6, {"policies": ()}, Query.CALLS_NAME_THEIR_POLICY),
        (6, {"application": ""}, Query.CALLS_NAME_WHO_AND_WHAT),
    ],
)
def test_each_question_finds_what_it_is_about(tmp_path, at, changed, query):
    story = list(STORY)
    story[at] = msgspec.structs.replace(story[at], **changed)
    assert answers(packed(tmp_path, story))[query][1] == (at,)


def test_a_line_taken_out_of_the_file_is_noticed_and_named(tmp_path):
    file = packed(tmp_path)
    lines = bundle(STORY)[0].splitlines(keepends=True)
    for at in range(1, len(lines) - 1):
        shortened = b"".join(lines[:at] + lines[at + 1 :])
        with pytest.raises(PackFault, match=r"zone-1\.jsonl is not the file"):
            verify(repacked(file, **{"evidence/zone-1.jsonl": shortened}), [])
        sums = json.loads(zipfile.ZipFile(file).read(MANIFEST))
        sums["files"]["evidence/zone-1.jsonl"] = archive.digest_of(shortened)
        forged = {"evidence/zone-1.jsonl": shortened, MANIFEST: json.dumps(sums).encode()}
        last = at == len(lines) - 2
        why = "line 9: the closing line" if last else f"entry {at - 1}"
        with pytest.raises(PackFault, match=f"does not verify: {why}"):
            verify(repacked(file, **forged), [])


def test_only_entries_of_the_period_are_judged_by_all_that_came_before(tmp_path):
    found = answers(packed(tmp_path, period=Period(20, 21)))
    assert found[Query.LOG_IS_WHOLE] == (3, ())
    assert found[Query.CALLS_REST_ON_A_MANDATE] == (1, ())
    assert found[Query.CHANGES_NAME_WHO] == (0, ())


@pytest.mark.parametrize("name", [STATEMENTS, OSCAL, "release/release.json"])
def test_a_file_that_was_changed_is_named(tmp_path, name):
    file = packed(tmp_path)
    with pytest.raises(PackFault, match=name):
        verify(repacked(file, **{name: b"{}\n"}), [])
    with pytest.raises(PackFault, match=f"{name} is missing"):
        verify(repacked(file, **{name: None}), [])


@pytest.mark.parametrize("name", [STATEMENTS, OSCAL])
def test_answers_that_the_entries_do_not_give_are_refused_though_the_sums_match(tmp_path, name):
    file = packed(tmp_path)
    manifest = json.loads(zipfile.ZipFile(file).read(MANIFEST))
    manifest["files"][name] = archive.digest_of(b"[]\n")
    forged = {name: b"[]\n", MANIFEST: json.dumps(manifest).encode()}
    with pytest.raises(PackFault, match="bear out"):
        verify(repacked(file, **forged), [])


def test_a_better_answer_in_the_manifest_is_refused(tmp_path):
    file = packed(tmp_path, STORY[:1] + STORY[2:])
    manifest = json.loads(zipfile.ZipFile(file).read(MANIFEST))
    for answer in manifest["logs"][0]["answers"]:
        answer |= {"wrong": 0, "entries": []}
    with pytest.raises(PackFault, match="does not answer"):
        verify(repacked(file, **{MANIFEST: json.dumps(manifest).encode()}), [])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda logs: [], "no log"),
        (lambda logs: [*logs, *logs], "one log"),
        (lambda logs: [*logs, logs[0] | {"log": "zone-2"}], "one file"),
        (lambda logs: [logs[0] | {"log": "zone-2"}], "is not the log zone-2"),
    ],
)
def test_logs_that_are_missing_repeated_or_somebody_elses_are_refused(tmp_path, changed, why):
    file = packed(tmp_path)
    manifest = json.loads(zipfile.ZipFile(file).read(MANIFEST))
    manifest["logs"] = changed(manifest["logs"])
    gone = {"evidence/zone-1.jsonl": None} if not manifest["logs"] else {}
    for name in gone:
        del manifest["files"][name]
    forged = gone | {MANIFEST: json.dumps(manifest).encode()}
    with pytest.raises(PackFault, match=why):
        verify(repacked(file, **forged), [])


def test_a_key_that_no_log_is_of_is_named(tmp_path):
    key, _ = key_pair("caracal.test/evidence/zone-2", seed=9)
    with pytest.raises(PackFault, match="no log of the key"):
        verify(packed(tmp_path), [bundle(STORY)[1], key])


def test_how_far_a_log_reaches_is_told(tmp_path):
    [log] = verify(packed(tmp_path), []).manifest.logs
    assert log.last_at == 20


def test_nothing_is_packed_without_a_log():
    with pytest.raises(PackFault, match="no log"):
        make(io.BytesIO(), logs={}, period=EVER, version="1", more={})


def test_a_statement_that_no_entry_is_about_is_not_called_borne_out(tmp_path):
    file = packed(tmp_path, period=Period(30, 31))
    assert {stated.outcome for stated in verify(file, []).statements} == {Outcome.NOTHING_TO_JUDGE}
    document = json.loads(zipfile.ZipFile(file).read(OSCAL))
    findings = document["assessment-results"]["results"][0]["findings"]
    status = {"state": "not-satisfied", "reason": "other", "remarks": "nothing to judge"}
    assert [finding["target"]["status"] for finding in findings] == [status] * len(findings)


def test_a_file_that_was_added_is_refused(tmp_path):
    with pytest.raises(PackFault, match="not part of it"):
        verify(repacked(packed(tmp_path), **{"more.txt": b"x"}), [])


def test_another_key_than_the_trusted_one_is_refused(tmp_path):
    key, _ = key_pair("caracal.test/evidence/zone-1", seed=9)
    with pytest.raises(PackFault, match="key"):
        verify(packed(tmp_path), [key])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all"])
def test_what_is_no_pack_is_refused(tmp_path, content):
    file = tmp_path / "pack.zip"
    file.write_bytes(content)
    with pytest.raises(PackFault, match="no pack"):
        verify(file, [])


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b/c", "a\\b", ".hidden", "a/../b"])
def test_a_file_with_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(PackFault, match="acceptable name"):
        verify(repacked(packed(tmp_path), **{name: b"x"}), [])


def test_the_same_contents_make_the_same_bytes(tmp_path):
    assert packed(tmp_path).read_bytes() == packed(tmp_path).read_bytes()


def test_every_statement_rests_on_queries_or_on_tests_that_exist():
    statements = load_statements()
    assert len({one.id for one in statements}) == len(statements)
    for one in statements:
        assert one.queries or one.tests
        for test in one.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text()
