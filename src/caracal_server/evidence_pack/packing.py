"""Making a pack, and verifying one: both compute every answer from the entries."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from caracal.authority.events import Entry
from caracal.evidence.bundle_lines import MAX_LINE_BYTES, Contents, is_closing, parse_entry
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.evidence.notes import VerifierKey
from caracal.wire.dropped_entries import verify_log
from caracal_server.evidence_pack import archive, oscal
from caracal_server.evidence_pack.archive import Archive, open_archive
from caracal_server.evidence_pack.faults import PackFault
from caracal_server.evidence_pack.questions import (
    Answer,
    Examination,
    Outcome,
    Period,
    combine,
    judge,
)
from caracal_server.evidence_pack.statements import Statement, load_statements

FORMAT = "caracal-evidence-pack/1"
MANIFEST = "pack.json"
STATEMENTS = "statements.json"
OSCAL = "oscal-assessment-results.json"
EVIDENCE = "evidence/"

_entry = msgspec.json.Decoder(Entry).decode


class LogFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One log of the pack, whole, up to its checkpoint.

    Attributes:
        last_at: of its last entry, in microseconds since the epoch: what came later is not in it.
    """

    log: str
    file: str
    key: str
    size: int
    last_at: int
    answers: tuple[Answer, ...]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pack.json`.

    Attributes:
        files: SHA-256 of every other file, in hexadecimal digits.
    """

    format: str
    version: str
    period: Period
    logs: tuple[LogFile, ...]
    files: dict[str, str]


class Stated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement, and what the entries say of it."""

    statement: Statement
    outcome: Outcome


class Report(msgspec.Struct, frozen=True):
    """A pack that is what it says, and what it says."""

    manifest: Manifest
    statements: tuple[Stated, ...]
    trusted: bool
    """Whether every log was held to a key known from elsewhere."""


def make(
    output: BinaryIO,
    *,
    logs: Mapping[str, Path],
    period: Period,
    version: str,
    more: Mapping[str, bytes | Path],
) -> tuple[Stated, ...]:
    """Write a pack.

    Args:
        output: where it goes.
        logs: bundles of whole logs by the log's id, as `caracal evidence export` writes them.
        period: that its answers are about.
        version: of the Caracal that makes it.
        more: further files, such as a release's bills of materials.

    Raises:
        PackFault: a bundle does not verify.
    """
    if not logs:
        raise PackFault("there is no log to pack")
    files: dict[str, bytes | Path] = dict(more)
    described = []
    for log, path in sorted(logs.items()):
        name = f"{EVIDENCE}{log}.jsonl"
        with path.open("rb") as stream:
            described.append(_examine(log, name, _lines(stream), period, None))
        files[name] = path
    stated, assessment = _conclude(described, period)
    files[STATEMENTS] = _json(stated)
    files[OSCAL] = assessment
    sums = {name: archive.digest_of(content) for name, content in sorted(files.items())}
    manifest = Manifest(FORMAT, version, period, tuple(described), sums)
    archive.write(output, files | {MANIFEST: _json(manifest)})
    return stated


def verify(file: Path, keys: Sequence[VerifierKey]) -> Report:
    """Verify a pack: every sum, every log, every answer.

    Args:
        file: the pack.
        keys: of the logs, known from elsewhere; without any, each log is held to the key it brings.

    Raises:
        PackFault: it does not verify; nothing in it may then be believed.
    """
    with open_archive(file) as opened:
        manifest = _manifest(opened)
        _require_sums(opened, manifest)
        _require_distinct(manifest, keys)
        described = []
        for stated in manifest.logs:
            with opened.stream(stated.file) as stream:
                key = _key_for(stated, keys)
                found = _examine(stated.log, stated.file, _lines(stream), manifest.period, key)
            if found != stated:
                raise PackFault(f"{stated.file} does not answer what {MANIFEST} says it does")
            described.append(found)
        statements, assessment = _conclude(described, manifest.period)
        if opened.read(STATEMENTS) != _json(statements):
            raise PackFault(f"{STATEMENTS} does not say what the entries bear out")
        if opened.read(OSCAL) != assessment:
            raise PackFault(f"{OSCAL} does not say what the entries bear out")
    return Report(manifest, statements, bool(keys))


def _examine(
    log: str, name: str, lines: Iterable[bytes], period: Period, key: VerifierKey | None
) -> LogFile:
    examination = Examination(period)
    try:
        report = verify_log(_examined(lines, examination), key)
    except BundleError as fault:
        raise PackFault(f"{name} does not verify: {fault}") from None
    if report.contents is Contents.SELECTION:
        raise PackFault(f"{name} is a selection; a pack holds whole logs")
    if report.first and (examination.begins_at or 0) > period.since:
        raise PackFault(
            f"{name} begins with entry {report.first}, later than the period: what was before was dropped; "
            "take a later period, or an export from before"
        )
    if report.checkpoint.origin.rpartition("/")[2] != log:
        raise PackFault(f"{name} is not the log {log}, but {report.checkpoint.origin}")
    held_to = report.key.render()
    return LogFile(log, name, held_to, report.entries, examination.last_at, examination.answers())


def _examined(lines: Iterable[bytes], examination: Examination) -> Iterator[bytes]:
    """Pass lines on, each looked at before it is known to verify: then nothing of it is used."""
    for number, line in enumerate(lines):
        if number and not is_closing(line):
            try:
                found = parse_entry(line)
                examination.take(found.index, _entry(found.entry))
            except EvidenceError:
                pass  # the verifier says why, and names the entry
            except msgspec.DecodeError:
                raise BundleError("it is no entry of this format", index=number - 1) from None
        yield line


def _conclude(logs: Iterable[LogFile], period: Period) -> tuple[tuple[Stated, ...], bytes]:
    described = tuple(logs)
    answers = combine(log.answers for log in described)
    by_query = {answer.query: answer for answer in answers}
    statements = load_statements()
    stated = tuple(Stated(one, judge(one, by_query)) for one in statements)
    subject = archive.digest_of(_json(described))
    return stated, oscal.render(statements, answers, period, subject)


def _manifest(opened: Archive) -> Manifest:
    try:
        manifest = msgspec.json.decode(opened.read(MANIFEST), type=Manifest)
    except msgspec.DecodeError as fault:
        raise PackFault(f"{MANIFEST} can not be read: {fault}") from None
    if manifest.format != FORMAT:
        raise PackFault(f"its format is {manifest.format[:40]!r}, not {FORMAT}")
    return manifest


def _require_distinct(manifest: Manifest, keys: Sequence[VerifierKey]) -> None:
    if not manifest.logs:
        raise PackFault("it holds no log, so nothing in it is borne out")
    for what in ("log", "file"):
        if len({getattr(log, what) for log in manifest.logs}) != len(manifest.logs):
            raise PackFault(f"two of its logs have one {what}")
    unused = {key.render() for key in keys} - {log.key for log in manifest.logs}
    if unused:
        raise PackFault(f"it has no log of the key {min(unused)}")


def _require_sums(opened: Archive, manifest: Manifest) -> None:
    expected = set(manifest.files) | {MANIFEST}
    for name in sorted(expected ^ opened.names):
        raise PackFault(f"{name} is " + ("missing" if name in expected else "not part of it"))
    for log in manifest.logs:
        if log.file not in manifest.files:
            raise PackFault(f"{log.file} is not listed")
    held = {log.file for log in manifest.logs}
    for name in manifest.files:
        if name.startswith(EVIDENCE) and name not in held:
            raise PackFault(f"{name} belongs to no log")
    for name, digest in manifest.files.items():
        if opened.digest(name) != digest:
            raise PackFault(f"{name} is not the file that was packed")


def _key_for(log: LogFile, keys: Sequence[VerifierKey]) -> VerifierKey | None:
    if not keys:
        return None
    for key in keys:
        if key.render() == log.key:
            return key
    raise PackFault(f"{log.file} names a key that is not among those given")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"
