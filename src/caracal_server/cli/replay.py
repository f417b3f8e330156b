"""`caracal replay`: what a policy would have made of everything that was decided."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal.authority.events import Entry
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.problems import PolicyInvalid
from caracal.authority.policy.recording import Missing
from caracal.authority.policy.replay import Engine, Group, Replay, Report
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.scopes import ScopeSet
from caracal_server.adapters.clock import SystemClock
from caracal_server.cli.entries import search
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import (
    DataOption,
    JsonOption,
    ServerOption,
    TokenFileOption,
    ZoneOption,
)
from caracal_server.cli.output import count, print_fields, print_json, print_table, say
from caracal_server.cli.policy_versions import versions
from caracal_server.cli.proven_entries import proven_entries
from caracal_server.cli.server import Server
from caracal_server.cli.spans_of_time import since_when
from caracal_server.cli.zone_choice import choose_zone
from caracal_server.cli.zones import Zone, load_zone

app = typer.Typer()

_KINDS: Final = ("exchange", "call")
_PROBLEMS_SHOWN: Final = 20
_NOWHERE: Final = PolicyVocabulary(frozenset(), {})
_WHY: Final = {
    Missing.NOT_RECORDED: "from before all that policy is asked was recorded",
    Missing.TOO_LONG: "with a path too long to be kept whole",
    Missing.SHREDDED: "with values that are committed to and not at hand",
    Missing.ARGUMENTS: "on arguments of which only the digest is on record",
    Missing.POLICY_UNKNOWN: "under a policy version whose text is not at hand",
}


class Replayed(msgspec.Struct, frozen=True):
    """What `--json` prints; `reproduced` is false, too, where a decision could not be decided again."""

    candidate: str
    proven: bool
    reproduced: bool
    report: Report


class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


_decode = msgspec.json.Decoder(Entry).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode


@app.command()
def replay(
    *,
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="The candidate. With --active and --export, a version's text; repeat it for several.",
        ),
    ] = None,
    active: Annotated[
        bool,
        typer.Option("--active", help="Replay the version that each entry names: the self-check."),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Verify this bundle, and replay it offline."),
    ] = None,
    log_key: Annotated[
        str | None,
        typer.Option(
            "--log-key", metavar="KEY", help="With --export: the log's key, from elsewhere."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Such as 7d, 12h, or 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="As --since.")] = None,
    zone: ZoneOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Decide every recorded policy decision again, and show which come out otherwise."""
    texts = _texts(policy or [], active=active, offline=export is not None)
    now = SystemClock().now()
    window = Window(since_when(since, now), since_when(until, now))
    if export is not None:
        run = Replay(_by_digest(texts) if active else _always(_loaded(texts[0])))
        _run(run, proven_entries(export, log_key), window)
    else:
        with Server.connect(server, token_file, data, "replay the decisions") as connected:
            row = choose_zone(connected, zone)
            run = Replay(_engine(connected, row.id, texts))
            _run(run, _recorded(connected, row.id, window), window)
    candidate = "" if active else _digest(texts[0])
    _tell(run.report(), candidate, proven=export is not None, json=json)


@dataclass(frozen=True, slots=True)
class Window:
    """From when, and until before when; `None` is without a bound."""

    since: datetime | None
    until: datetime | None

    def holds(self, entry: Entry) -> bool:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=entry.at)
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def _engine(server: Server, zone_id: str, candidate: list[str]) -> Engine:
    if candidate:
        return _always(_compiled(candidate[0], load_zone(server, zone_id)))
    return _by_digest([one.text for one in versions(server, zone_id)])


def _texts(files: list[Path], *, active: bool, offline: bool) -> list[str]:
    if active and files and not offline:
        raise CommandFailed(
            ExitCode.USAGE, "--active takes the versions from the server", "leave out --policy"
        )
    if not active and len(files) != 1:
        raise CommandFailed(
            ExitCode.USAGE, "a replay is of one policy", "give --policy FILE once, or --active"
        )
    return [_read(file) for file in files]


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read {file}: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise CommandFailed(ExitCode.USAGE, f"{file} is not UTF-8") from None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _compiled(text: str, zone: Zone) -> PolicyEngine:
    """The candidate as `caracal apply` would take it."""
    words = PolicyVocabulary(
        frozenset(one.name for one in zone.applications),
        {one.identifier: ScopeSet.from_texts(one.scopes) for one in zone.resources},
    )
    try:
        return PolicyEngine.compile(text, words)
    except PolicyInvalid as invalid:
        raise _not_a_policy(invalid) from None


def _loaded(text: str) -> PolicyEngine:
    """The candidate, where the zone is not at hand to hold its names to."""
    try:
        return PolicyEngine.load(text, _NOWHERE)
    except PolicyInvalid as invalid:
        raise _not_a_policy(invalid) from None


def _not_a_policy(invalid: PolicyInvalid) -> CommandFailed:
    return CommandFailed(
        ExitCode.USAGE,
        "the candidate is not a policy for this zone",
        "mend it as `caracal apply --plan` would want it",
        tuple(f"line {one.line}: {one.message}" for one in invalid.problems[:_PROBLEMS_SHOWN]),
    )


def _always(engine: PolicyEngine) -> Engine:
    return lambda _: engine


def _by_digest(texts: list[str]) -> Engine:
    known: dict[str, PolicyEngine] = {}
    for text in texts:
        try:
            known[_digest(text)] = PolicyEngine.load(text, _NOWHERE)
        except PolicyInvalid:
            continue
    return lambda entry: known.get(entry.policy, Missing.POLICY_UNKNOWN) if entry.policy else None


def _recorded(server: Server, log: str, window: Window) -> Iterator[tuple[int, bytes]]:
    since, until = (None if at is None else at.isoformat() for at in (window.since, window.until))
    for kind in _KINDS:
        for view in search(server, log, {"kind": kind, "since": since, "until": until}):
            yield view.index, bytes(view.entry)


def _run(run: Replay, entries: Iterable[tuple[int, bytes]], window: Window) -> None:
    for index, data in entries:
        try:
            if _decode_kind(data).kind not in _KINDS:
                continue
            entry = _decode(data)
        except msgspec.DecodeError as fault:
            raise CommandFailed(
                ExitCode.REFUSED,
                f"entry {index} can not be read: {fault}",
                "it may be from a newer version of caracal",
            ) from None
        if window.holds(entry):
            run.take(index, entry)


def _tell(report: Report, candidate: str, *, proven: bool, json: bool) -> None:
    reproduced = report.differing == 0 and not report.unreplayed
    if json:
        print_json(Replayed(candidate, proven, reproduced, report))
    else:
        _show(report, candidate, proven=proven)
    first = report.first_difference
    if not candidate and first is not None:
        raise CommandFailed(
            ExitCode.REFUSED,
            f"entry {first.index} (request {first.request}) is not reproduced: it records "
            f"{first.recorded}, and its policy says {first.replayed}",
            "report it: either an entry or the engine is not what it was",
        )
    if not candidate and any(one.why is Missing.POLICY_UNKNOWN for one in report.unreplayed):
        raise CommandFailed(
            ExitCode.REFUSED,
            "not every decision was decided again: a policy version's text is not at hand",
            "give each with --policy; GET /v1/zones/{zone}/policy-versions has them",
        )


def _show(report: Report, candidate: str, *, proven: bool) -> None:
    print_fields(
        (
            ("policy", candidate[:16] or "the version that each entry names"),
            ("input", "proven: a bundle that verifies" if proven else "as the server tells it"),
            ("decisions", f"{report.decisions:,}"),
            ("replayed", f"{report.replayed:,}"),
            ("come out otherwise", f"{report.differing:,}"),
        )
    )
    for one in report.unreplayed:
        say(f"not replayed: {count(one.count, 'decision')} {_WHY[one.why]}, such as {one.example}")
    if candidate:
        _show_groups("NEWLY ALLOWED", report.newly_allowed)
        _show_groups("NEWLY REFUSED", report.newly_refused)
    elif not report.differing:
        say("every decision that was replayed comes out as it is recorded")


def _show_groups(title: str, groups: tuple[Group, ...]) -> None:
    say()
    print_table(
        (title, "APPLICATION", "RESOURCE", "OPERATION", "DECIDED BY", "SUCH AS"),
        [
            (
                str(one.count),
                one.application,
                one.resource,
                one.operation,
                ", ".join(one.policies or one.reasons),
                one.example,
            )
            for one in groups
        ],
        empty=f"{title.lower()}: none",
    )
