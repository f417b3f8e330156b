"""Ask here: a policy text, compiled for a zone, answers requests."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Final

from caracal.authority.policy.problems import PolicyInvalid
from caracal.authority.policy.reading import read_policies
from caracal.authority.policy.requests import Asked, Effect, PolicyDecision, PolicyRequest
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.policy.slices import PolicyIndex, Rules, Slice
from caracal.authority.policy.validation import check_reading

__all__ = ["PolicyEngine", "PolicyInvalid", "PolicyVocabulary"]

MAX_REMEMBERED: Final = 131_072
"""Slices, compiled policies and decisions that an engine keeps; beyond it, it starts afresh."""

MAX_REMEMBERED_PATH: Final = 256
"""Characters. Whoever calls chooses path and arguments: what is long is judged each time, and not kept."""

NOT_PERMITTED: Final = PolicyDecision(Effect.NO_PERMIT)


class PolicyEngine:
    """The policies of one version of a zone's policy, ready to decide (docs/policy.md).

    For one event loop: `decide` keeps what it has compiled and decided, without locks.

    Attributes:
        digest: SHA-256 of the text, in hex.
        policy_ids: in the order of the text.
    """

    __slots__ = ("_index", "_rules", "_slices", "_vocabulary", "_weight", "digest")

    def __init__(self, digest: str, index: PolicyIndex, vocabulary: PolicyVocabulary) -> None:
        """See `compile` and `load`."""
        self.digest = digest
        self._index = index
        self._vocabulary = vocabulary
        self._slices: dict[tuple[str, str, str], Slice] = {}
        self._rules: dict[tuple[int, ...], Rules] = {}
        self._weight = 0

    @classmethod
    def compile(cls, text: str, vocabulary: PolicyVocabulary) -> "PolicyEngine":
        """Validate a text for a zone and compile it.

        Raises:
            PolicyInvalid: with every problem that `validate` would give.
        """
        reading = read_policies(text)
        problems = check_reading(reading, vocabulary)
        if problems:
            raise PolicyInvalid(problems)
        return cls(_digest(text), PolicyIndex(reading.policies), vocabulary)

    @classmethod
    def load(cls, text: str, vocabulary: PolicyVocabulary) -> "PolicyEngine":
        """Compile a text that was valid when it was accepted.

        The zone may have changed since: what it has lost matches nothing (P12).

        Raises:
            PolicyInvalid: when the text can not be read at all.
        """
        reading = read_policies(text)
        if reading.problems:
            raise PolicyInvalid(reading.problems)
        return cls(_digest(text), PolicyIndex(reading.policies), vocabulary)

    def with_vocabulary(self, vocabulary: PolicyVocabulary) -> "PolicyEngine":
        """The same policies for the zone as it is now; nothing is parsed again (P12)."""
        return PolicyEngine(self.digest, self._index, vocabulary)

    def leaving_out(self, ids: Iterable[str]) -> "PolicyEngine":
        """The policies without some of them: what is asked when one looks for what decided."""
        gone = frozenset(ids)
        kept = [policy for policy in self._index.policies if policy.id not in gone]
        numbered = tuple(replace(policy, position=at) for at, policy in enumerate(kept))
        return PolicyEngine(self.digest, PolicyIndex(numbered), self._vocabulary)

    @property
    def policy_ids(self) -> tuple[str, ...]:
        return tuple(policy.id for policy in self._index.policies)

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        """Answer one question; never raises for what a request may hold."""
        slice_ = self._slices.get((request.application, request.scope, request.resource))
        if slice_ is None:
            if not self._knows(request):
                return NOT_PERMITTED
            slice_ = self._cut(request)
        return self._judge(slice_, request)

    def decide_named(self, request: PolicyRequest) -> PolicyDecision:
        """Answer a question whose names were the zone's when it was put, whatever they are now."""
        name = (request.application, request.scope, request.resource)
        return self._judge(self._slices.get(name) or self._cut(request), request)

    def reads_arguments(self, asked: Asked) -> bool:
        """Whether an answer to any of these questions depends on the arguments of the call."""
        names = ((asked.application, scope, at) for scope in asked.scopes for at in asked.resources)
        return any(
            self._index.policies[position].arguments
            for name in names
            for position in self._index.find(*name)
        )

    def _judge(self, slice_: Slice, request: PolicyRequest) -> PolicyDecision:
        facts = slice_.rules.facts(request)
        decision = slice_.decisions.get(facts)
        if decision is None:
            decision = slice_.rules.evaluate(request)
            if len(request.path) + len(request.arguments) <= MAX_REMEMBERED_PATH:
                slice_.decisions[facts] = decision
                self._carry(1)
        return decision

    def _knows(self, request: PolicyRequest) -> bool:
        return request.application in self._vocabulary.applications and self._vocabulary.declares(
            request.resource, request.scope
        )

    def _cut(self, request: PolicyRequest) -> Slice:
        name = (request.application, request.scope, request.resource)
        positions = self._index.find(*name)
        rules = self._rules.get(positions)
        if rules is None:
            rules = Rules(tuple(self._index.policies[position] for position in positions))
            self._carry(len(positions))
            self._rules[positions] = rules
        self._carry(1)
        self._slices[name] = slice_ = Slice(rules)
        return slice_

    def _carry(self, weight: int) -> None:
        self._weight += weight
        if self._weight > MAX_REMEMBERED:
            self._slices.clear()
            self._rules.clear()
            self._weight = weight


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
