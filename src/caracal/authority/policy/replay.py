"""Deciding again what was decided: under the policy that decided it, or under another.

Open first: `Replay`. Every decision is judged by what its entry says was put to policy and by nothing
else; of one whose entry does not say it, nothing is claimed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from caracal.authority.events import Entry, Verdict
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.asking import Decide, answer
from caracal.authority.policy.engine import NOT_PERMITTED, PolicyEngine
from caracal.authority.policy.recording import (
    BY_POLICY,
    Missing,
    asks_policy,
    permitted_resources,
    read_asked,
)
from caracal.authority.policy.requests import Asked, PolicyDecision, PolicyRequest

MAX_REMEMBERED: Final = 131_072
"""Outcomes that are remembered; beyond it, remembering starts afresh."""

Engine = Callable[[Entry], PolicyEngine | Missing | None]
"""Finds what decides an entry again; `None` where no policy was active."""


class Outcome(msgspec.Struct, frozen=True):
    """What policy says of one decision.

    Attributes:
        asked: what it was asked.
        permitted: the resources it permits; `policies` the ids that permit them.
        refusal: what it says of the first that it does not permit.
    """

    asked: Asked
    permitted: tuple[str, ...]
    policies: tuple[str, ...]
    refusal: Refused | None


class Group(msgspec.Struct, frozen=True):
    """Decisions that come out otherwise, of one application, resource and operation.

    Attributes:
        policies: the ids that decide now, over all of them; `reasons` why, where they are refused.
        example: the request id of the first of them; `index` its place.
    """

    application: str
    resource: str
    operation: str
    count: int
    policies: tuple[str, ...]
    reasons: tuple[str, ...]
    example: str
    index: int


class Unreplayed(msgspec.Struct, frozen=True):
    """Decisions that could not be decided again, for one reason."""

    why: Missing
    count: int
    example: str
    index: int


class Difference(msgspec.Struct, frozen=True):
    """A decision that does not come out as it is recorded."""

    request: str
    index: int
    recorded: str
    replayed: str


class Report(msgspec.Struct, frozen=True):
    """What a replay found. The largest groups come first.

    Attributes:
        decisions: policy decisions that were read; those of `unreplayed` are among them.
        differing: of those that were replayed, how many differ from the record in any way.
        first_difference: the one with the lowest index.
    """

    decisions: int
    replayed: int
    differing: int
    newly_allowed: tuple[Group, ...]
    newly_refused: tuple[Group, ...]
    unreplayed: tuple[Unreplayed, ...]
    first_difference: Difference | None


@dataclass(slots=True)
class _Tally:
    """How many, the first of them in the log, and what decided."""

    count: int = 0
    example: str = ""
    index: int = -1
    policies: dict[str, None] = field(default_factory=dict)
    reasons: dict[str, None] = field(default_factory=dict)

    def take(self, index: int, entry: Entry) -> None:
        self.count += 1
        if self.index < 0 or index < self.index:
            self.index, self.example = index, entry.request


class Replay:
    """Takes entries, in any order, and says at the end what came out otherwise."""

    def __init__(self, engine: Engine, *, limit: int = MAX_REMEMBERED) -> None:
        """Replay under what `engine` finds, and remember at most `limit` outcomes."""
        self._engine = engine
        self._limit = limit
        self._known: dict[tuple[object, ...], Outcome | Missing] = {}
        self._decisions = 0
        self._differing = 0
        self._first: Difference | None = None
        self._allowed: dict[tuple[str, str, str], _Tally] = {}
        self._refused: dict[tuple[str, str, str], _Tally] = {}
        self._unreplayed: dict[Missing, _Tally] = {}

    def take(self, index: int, entry: Entry) -> None:
        """Decide an entry again; one that asked no policy is passed over."""
        if not asks_policy(entry):
            return
        self._decisions += 1
        outcome = self.outcome(entry)
        if isinstance(outcome, Missing):
            self._unreplayed.setdefault(outcome, _Tally()).take(index, entry)
            return
        if reproduces(entry, outcome):
            return
        self._differing += 1
        if self._first is None or index < self._first.index:
            self._first = _difference(index, entry, outcome)
        self._compare(index, entry, outcome)

    def outcome(self, entry: Entry) -> Outcome | Missing:
        """What is decided now, or why it can not be."""
        key = _identity(entry)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._limit:
                self._known.clear()
            known = self._known[key] = self._decide(entry)
        return known

    def _decide(self, entry: Entry) -> Outcome | Missing:
        asked = read_asked(entry)
        if isinstance(asked, Missing):
            return asked
        engine = self._engine(entry)
        if isinstance(engine, Missing):
            return engine
        if engine is not None and not asked.arguments_known and engine.reads_arguments(asked):
            return Missing.ARGUMENTS
        return decide_again(engine, asked)

    def _compare(self, index: int, entry: Entry, outcome: Outcome) -> None:
        recorded = permitted_resources(entry)
        refusal = outcome.refusal
        for resource in dict.fromkeys(outcome.asked.resources):
            was, now = resource in recorded, resource in outcome.permitted
            if was == now:
                continue
            group = (entry.application_name, resource, _operation(outcome.asked))
            groups = self._allowed if now else self._refused
            tally = groups.setdefault(group, _Tally())
            tally.take(index, entry)
            why = None if now else refusal
            deciding = outcome.policies if why is None else why.policies
            tally.policies |= dict.fromkeys(deciding)
            tally.reasons |= {} if why is None else {why.reason.value: None}

    def report(self) -> Report:
        """What was found so far."""
        tallies = sorted(self._unreplayed.items(), key=lambda one: -one[1].count)
        missing = tuple(Unreplayed(why, one.count, one.example, one.index) for why, one in tallies)
        return Report(
            decisions=self._decisions,
            replayed=self._decisions - sum(one.count for one in missing),
            differing=self._differing,
            newly_allowed=_groups(self._allowed),
            newly_refused=_groups(self._refused),
            unreplayed=missing,
            first_difference=self._first,
        )


def decide_again(engine: PolicyEngine | None, asked: Asked) -> Outcome:
    """Put to a policy what another one was asked."""
    decide = None if engine is None else _named(engine, asked)
    permitted: list[str] = []
    policies: dict[str, None] = {}
    refusal: Refused | None = None
    for resource in asked.resources:
        said = answer(decide, asked, resource)
        if isinstance(said, Refused):
            refusal = refusal or said
            continue
        permitted.append(resource)
        policies.update(dict.fromkeys(said))
    return Outcome(asked, tuple(permitted), tuple(policies), refusal)


def reproduces(entry: Entry, outcome: Outcome) -> bool:
    """Whether an outcome is what the entry records: verdict, resources, reason, deciding policies."""
    if outcome.permitted != permitted_resources(entry):
        return False
    if entry.verdict is Verdict.ALLOW:
        return outcome.policies == entry.policies
    refusal = outcome.refusal
    if entry.reason not in BY_POLICY and entry.reason != Reason.POLICY_NONE_ACTIVE:
        return True
    return refusal is not None and (refusal.reason, refusal.policies) == (
        entry.reason,
        entry.policies,
    )


def _named(engine: PolicyEngine, asked: Asked) -> Decide:
    def decide(request: PolicyRequest) -> PolicyDecision:
        if request.scope in asked.undeclared:
            return NOT_PERMITTED
        return engine.decide_named(request)

    return decide


def _identity(entry: Entry) -> tuple[object, ...]:
    """Everything that `read_asked` and the choice of a policy depend on."""
    return (
        entry.policy,
        entry.application_name,
        entry.resource,
        entry.scopes,
        entry.operation,
        entry.labels,
        entry.depth,
        entry.lifecycle,
        len(entry.delegations),
        entry.root,
        entry.template,
        entry.asked,
        entry.undeclared,
        entry.kind,
        entry.argument_values,
        bool(entry.arguments),
        *entry.committed,
    )


def _difference(index: int, entry: Entry, outcome: Outcome) -> Difference:
    recorded = _told(permitted_resources(entry), entry.policies, entry.reason)
    refusal = outcome.refusal
    if outcome.permitted or refusal is None:
        return Difference(
            entry.request, index, recorded, _told(outcome.permitted, outcome.policies, "")
        )
    replayed = _told((), refusal.policies, refusal.reason)
    return Difference(entry.request, index, recorded, replayed)


def _told(permitted: tuple[str, ...], policies: tuple[str, ...], reason: str) -> str:
    deciding = ", ".join(policies) or "no policy"
    if permitted:
        return f"allowed on {' '.join(permitted)} by {deciding}"
    return f"refused ({reason}) by {deciding}"


def _operation(asked: Asked) -> str:
    if not asked.method:
        return f"a mandate for {asked.scopes.render()}"
    return asked.operation or f"{asked.method}, no declared operation"


def _groups(tallies: dict[tuple[str, str, str], _Tally]) -> tuple[Group, ...]:
    found = [
        Group(
            *name,
            one.count,
            tuple(sorted(one.policies)),
            tuple(one.reasons),
            one.example,
            one.index,
        )
        for name, one in tallies.items()
    ]
    return tuple(sorted(found, key=lambda group: (-group.count, group.index)))
