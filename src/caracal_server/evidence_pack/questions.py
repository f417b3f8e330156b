"""The queries: one pass over a log's entries, and what each question comes to."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.mandates import MAX_LIFETIME, MandateClass
from caracal_server.evidence_pack.statements import Query, Statement

MAX_NAMED = 20
"""Indices of entries that an answer names."""

_LONGEST_US = MAX_LIFETIME // timedelta(microseconds=1)
_CHANGES = frozenset(
    {
        Kind.ZONE_APPLY,
        Kind.POLICY_DOCUMENT,
        Kind.TOOL_ACCEPT,
        Kind.KEY_ROTATE,
        Kind.OPERATOR_TOKEN,
    }
)


class Period(msgspec.Struct, frozen=True):
    """From `since` up to `until`, in microseconds since the epoch, UTC."""

    since: int
    until: int

    def covers(self, entry: Entry) -> bool:
        return self.since <= entry.at < self.until


class Outcome(StrEnum):
    """What the entries say of a statement."""

    BORNE_OUT = "borne out"
    NOT_BORNE_OUT = "not borne out"
    NOTHING_TO_JUDGE = "nothing to judge"
    """No entry of the period is about it."""


class Answer(msgspec.Struct, frozen=True):
    """What a query came to.

    Attributes:
        asked: entries of the period that it is about.
        wrong: how many of those are not as they should be.
        entries: their indices, the first few.
    """

    query: Query
    asked: int
    wrong: int = 0
    entries: tuple[int, ...] = ()


class _Tally:
    def __init__(self) -> None:
        self.asked = 0
        self.wrong: list[int] = []

    def count(self, index: int, *, holds: bool) -> None:
        self.asked += 1
        if not holds:
            self.wrong.append(index)

    def answer(self, query: Query) -> Answer:
        return Answer(query, self.asked, len(self.wrong), tuple(self.wrong[:MAX_NAMED]))


class Examination:
    """Takes a log's entries in order; entries before the period are remembered, not judged."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self._tallies = {query: _Tally() for query in Query}
        self._minted: set[str] = set()
        self._reusable: set[str] = set()
        self._spent: set[str] = set()
        self._allowed: set[str] = set()
        self.begins_at: int | None = None
        """When the first entry was sequenced: whatever was decided later comes after it."""
        self._is_rest = False
        self.last_at = 0

    def take(self, index: int, entry: Entry) -> None:
        self.last_at = entry.at
        if self.begins_at is None:
            self.begins_at = max(entry.at, entry.sequenced_at)
            self._is_rest = index > 0
        if self._period.covers(entry):
            self._judge(index, entry)
        if entry.verdict is not Verdict.ALLOW:
            return
        if entry.kind is Kind.EXCHANGE:
            self._minted.add(entry.mandate)
            if entry.mandate_class == MandateClass.ACCESS:
                self._reusable.add(entry.mandate)
        elif entry.kind is Kind.CALL:
            self._spent.add(entry.mandate)
            self._allowed.add(entry.request)

    def answers(self) -> tuple[Answer, ...]:
        return tuple(tally.answer(query) for query, tally in self._tallies.items())

    def _was_dropped(self, entry: Entry) -> bool:
        """Whether what an entry goes back to may be among what a rest does not hold any more."""
        return self._is_rest and entry.at < (self.begins_at or 0) + _LONGEST_US

    def _judge(self, index: int, entry: Entry) -> None:
        def count(query: Query, holds: object) -> None:
            self._tallies[query].count(index, holds=bool(holds))

        count(Query.LOG_IS_WHOLE, holds=True)
        if entry.verdict is Verdict.REFUSE:
            count(Query.REFUSALS_SAY_WHY, entry.reason)
        if entry.kind is Kind.CALL and entry.verdict is Verdict.ALLOW:
            minted = entry.narrowed[0] if entry.narrowed else entry.mandate
            known = minted in self._minted
            if known or not self._was_dropped(entry):
                count(Query.CALLS_REST_ON_A_MANDATE, known)
                if entry.mandate not in self._reusable:
                    count(Query.MANDATES_ARE_USED_ONCE, entry.mandate not in self._spent)
            count(Query.CALLS_NAME_THEIR_POLICY, entry.policy and entry.policies)
            named = (entry.application, entry.resource, entry.operation, entry.scopes)
            count(Query.CALLS_NAME_WHO_AND_WHAT, all(named))
        elif entry.kind is Kind.CALL_RESULT:
            if entry.answers in self._allowed or not self._was_dropped(entry):
                count(Query.RESULTS_ANSWER_A_DECISION, entry.answers in self._allowed)
        elif entry.kind in _CHANGES:
            count(Query.CHANGES_NAME_WHO, entry.actor)


def judge(statement: Statement, by_query: Mapping[Query, Answer]) -> Outcome:
    """Say what the answers that a statement rests on come to."""
    answers = [by_query[query] for query in statement.queries]
    if any(answer.wrong for answer in answers):
        return Outcome.NOT_BORNE_OUT
    # That the log is whole is asked of every entry, and says nothing of what the statement is about.
    about = sum(answer.asked for answer in answers if answer.query is not Query.LOG_IS_WHOLE)
    return Outcome.BORNE_OUT if about else Outcome.NOTHING_TO_JUDGE


def combine(answers: Iterable[Iterable[Answer]]) -> tuple[Answer, ...]:
    """Add up what several logs answer; the indices are those of the logs, in their order."""
    totals = {query: Answer(query, 0) for query in Query}
    for of_log in answers:
        for one in of_log:
            total = totals[one.query]
            totals[one.query] = Answer(
                one.query,
                total.asked + one.asked,
                total.wrong + one.wrong,
                (total.entries + one.entries)[:MAX_NAMED],
            )
    return tuple(totals.values())
