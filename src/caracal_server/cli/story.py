"""The story of one request, told from its entries: what was decided, for whom, why, what came of it.

Pure: entries in, sentences out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from caracal.authority.events import Entry, Kind, Verdict
from caracal_server.cli.output import instant

_DIGEST_SHOWN: Final = 16
_ACTS: Final[Mapping[Kind, str]] = {
    Kind.SESSION_START: "started session {target}",
    Kind.SESSION_SUSPEND: "suspended session {target} and what is below it",
    Kind.SESSION_RESUME: "resumed session {target}",
    Kind.SESSION_END: "ended session {target} and all below it",
    Kind.SESSION_LEASE: "took the lease of session {target}",
    Kind.SUBJECT_REVOKE: "revoked the user {target} of {subject_issuer} and all that worked for them",
    Kind.DELEGATION_CREATE: "handed {scopes} from session {session} to session {target}",
    Kind.DELEGATION_REVOKE: "revoked delegation {target} and all narrowed from it",
    Kind.ZONE_APPLY: "applied the zone {target}",
    Kind.POLICY_DOCUMENT: "{detail} ({target})",
    Kind.KEY_ROTATE: "rotated keys ({target})",
    Kind.OPERATOR_TOKEN: "changed the operator token {target}",
    Kind.SERVICE_START: "started the service",
    Kind.TOOL_SEEN: "saw the tool {target} of {resource}",
    Kind.TOOL_CHANGED: "found the tool {target} of {resource} changed, and holds it",
    Kind.TOOL_ACCEPT: "accepted the definition of {target}",
    Kind.SHARD_CHECKPOINT: "vouched for the log {target}",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An entry, and its place: the index in the log, or `shard:index`."""

    place: str
    entry: Entry


@dataclass(slots=True)
class Episode:
    """A decision and what came of it."""

    decision: Told
    results: list[Told] = field(default_factory=list)


def episodes(entries: Iterable[Told]) -> list[Episode]:
    """Put results beside their decisions, both in the order of their sequencing.

    A client may have used a request id more than once.
    """
    found: list[Episode] = []
    for told in entries:
        last = found[-1] if found else None
        if last is not None and told.entry.kind is Kind.CALL_RESULT:
            last.results.append(told)
        else:
            found.append(Episode(told))
    return found


def tell(episode: Episode, zone: str, names: Mapping[str, str]) -> list[str]:
    """Tell one episode, the verdict first.

    Args:
        episode: what was decided and what came of it.
        zone: the log it is in, in words.
        names: of applications, by id, where an entry names none.
    """
    told, entry = episode.decision, episode.decision.entry
    lines = [
        f"{_verdict(entry, _name(entry, names))}.",
        _why(entry),
        _policy(entry),
        _who(entry, names),
        *(_result(result.entry) for result in episode.results),
        _mandate(entry),
        f"When: {instant(entry.at)}.",
        _where(told, episode.results, zone),
    ]
    if entry.kind is Kind.CALL and entry.verdict is Verdict.ALLOW and not episode.results:
        lines.insert(4, "Result: none is recorded; the call is under way, or was cut off.")
    return [line for line in lines if line]


def _name(entry: Entry, names: Mapping[str, str]) -> str:
    known = entry.application_name or names.get(entry.application, "")
    if known or entry.application:
        return known or f"application {entry.application}"
    return f"operator {entry.actor}" if entry.actor else "someone unknown"


def _verdict(entry: Entry, who: str) -> str:
    allowed = entry.verdict is not Verdict.REFUSE
    match entry.kind:
        case Kind.EXCHANGE if allowed:
            return f"Allowed: {who} got a mandate for {_scopes(entry)}{_on(entry)}"
        case Kind.EXCHANGE:
            return f"Refused: {who} asked for {_scopes(entry)}{_on(entry)} and got no mandate"
        case Kind.CALL if allowed:
            return f"Allowed: {who} called {entry.operation}{_on(entry)}"
        case Kind.CALL:
            tried = entry.operation or "something"
            return f"Refused: {who} tried {tried}{_on(entry)}, and nothing was sent upstream"
        case Kind.CALL_RESULT:
            return f"Done: a call of {who}{_on(entry)} ended"
        case Kind.ADMIN_REFUSED:
            return f"Refused: {_operator(entry, who)} may not do this to {entry.target or 'it'}"
        case _:
            return _act(entry, _operator(entry, who), allowed=allowed)


def _act(entry: Entry, doer: str, *, allowed: bool) -> str:
    act = _ACTS.get(entry.kind, entry.kind.value).format(
        target=entry.target or entry.session,
        session=entry.session,
        scopes=_scopes(entry),
        subject_issuer=entry.subject_issuer,
        resource=entry.resource or "a resource",
        detail=entry.detail or "changed a document",
    )
    return f"Done: {doer} {act}" if allowed else f"Refused: {doer} would have {act}"


def _operator(entry: Entry, who: str) -> str:
    return f"operator {entry.actor}" if entry.actor else who


def _scopes(entry: Entry) -> str:
    return " ".join(entry.scopes.split()) or "no scope"


def _on(entry: Entry) -> str:
    return f" on {entry.resource}" if entry.resource else ""


def _why(entry: Entry) -> str:
    if entry.reason:
        return f"Why: {entry.detail.rstrip('.') or entry.reason} ({entry.reason})."
    if entry.detail:
        return f"What: {entry.detail.rstrip('.')}."
    if entry.verdict is Verdict.ALLOW and entry.policies:
        return "Why: policy permits it, and nothing forbids it."
    return ""


def _policy(entry: Entry) -> str:
    decided = f"decided by {', '.join(entry.policies)}" if entry.policies else ""
    version = f"version {entry.policy[:_DIGEST_SHOWN]}" if entry.policy else ""
    told = ", ".join(part for part in (version, decided) if part)
    return f"Policy: {told}." if told else ""


def _who(entry: Entry, names: Mapping[str, str]) -> str:
    parts: list[str] = []
    if entry.application:
        parts.append(f"{_name(entry, names)} ({entry.application})")
    if entry.subject and entry.subject not in {entry.application, entry.actor}:
        vouching = f" of {entry.subject_issuer}" if entry.subject_issuer else ""
        parts.append(f"for {entry.subject}{vouching}")
    if "subject" in entry.committed:
        parts.append("for a user whose name is not held any more")
    if entry.session:
        parts.append(f"in session {entry.session}")
    if entry.delegations and entry.kind in {Kind.EXCHANGE, Kind.CALL, Kind.DELEGATION_CREATE}:
        parts.append("by delegation " + " > ".join(entry.delegations))
    if entry.narrowed:
        steps = zip(entry.narrowed, entry.holders, strict=False)
        parts.append("narrowed from " + " > ".join(f"{one} by key {key}" for one, key in steps))
    elif entry.holders:
        parts.append(f"bound to key {entry.holders[0]}")
    return f"Who: {', '.join(parts)}." if parts else ""


def _result(entry: Entry) -> str:
    answered = f"the upstream answered {entry.status}" if entry.status else "no answer went back"
    told = (
        f"Result: {answered}; {entry.sent_bytes:,} bytes sent up, {entry.received_bytes:,} received, "
        f"in {entry.duration_us / 1000:,.1f} ms"
    )
    if entry.reason:
        told += f"; cut short: {entry.detail or entry.reason} ({entry.reason})"
    return told + "."


def _mandate(entry: Entry) -> str:
    if not entry.mandate:
        return ""
    if entry.kind is Kind.EXCHANGE and entry.expires_at:
        until = datetime.fromtimestamp(entry.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return f"Mandate: {entry.mandate}, valid until {until}."
    return f"Mandate: {entry.mandate}."


def _where(told: Told, results: Sequence[Told], zone: str) -> str:
    places = " and ".join([f"entry {told.place}", *(result.place for result in results)])
    return f"Evidence: {places} in the log of {zone}."
