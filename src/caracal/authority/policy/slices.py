"""The policies that can matter to one application, scope and resource, ready to be evaluated."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from operator import attrgetter

import cedarpy

from caracal.authority.policy.arguments import pick
from caracal.authority.policy.reading import EntityUid, Policy
from caracal.authority.policy.requests import Effect, PolicyDecision, PolicyRequest
from caracal.authority.policy.schema import (
    ACTION,
    APPLICATION,
    CONTEXT,
    RESOURCE,
    ContextAttribute,
    render_context,
)

# Names are facts of the request's heads: no entity has attributes or parents.
_NO_ENTITIES = cedarpy.Entities.from_json_str("[]")
_FAILED = re.compile(r"^error while evaluating policy `policy(\d+)`: (.*)$", re.DOTALL)
_MAX_DETAIL = 300

Head = str | None


class PolicyIndex:
    """Policies by whom their heads are limited to; `None` stands for everyone and everything."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self._buckets: dict[tuple[Head, Head, Head], list[int]] = {}
        for policy in policies:
            heads = _ids(policy.principals), _ids(policy.actions), _ids(policy.resources)
            for bucket in product(*heads):
                self._buckets.setdefault(bucket, []).append(policy.position)

    def find(self, application: str, scope: str, resource: str) -> tuple[int, ...]:
        """The positions of the policies whose heads may match, in order.

        INVARIANT: none is left out that Cedar would find satisfied, or failing.
        """
        buckets = product((application, None), (scope, None), (resource, None))
        return tuple(sorted(at for bucket in buckets for at in self._buckets.get(bucket, ())))


def _ids(head: frozenset[EntityUid] | None) -> frozenset[Head]:
    return frozenset({None}) if head is None else frozenset(uid.id for uid in head)


class Rules:
    """Some policies of a text, compiled.

    Attributes:
        facts: what of a request, besides its application, scope and resource, the decision depends on.
        arguments: what of the call's arguments is among that.
    """

    __slots__ = ("_attributes", "_compiled", "_policies", "_reader", "_without", "arguments")

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        reads: frozenset[ContextAttribute] = frozenset().union(*(entry.reads for entry in policies))
        self.arguments = frozenset(path for policy in policies for path in policy.arguments)
        self._without: Rules | None = None
        self._policies = {policy.position: policy for policy in policies}
        self._attributes = tuple(attribute for attribute in CONTEXT if attribute in reads)
        members = ", ".join(f'"policy{policy.position}": {policy.json}' for policy in policies)
        self._compiled = cedarpy.PolicySet.from_json_str(
            f'{{"templates": {{}}, "templateLinks": [], "staticPolicies": {{{members}}}}}'
        )
        self._reader: Callable[[PolicyRequest], object] = (
            attrgetter(*(attribute.key for attribute in self._attributes))
            if self._attributes
            else _no_facts
        )

    def facts(self, request: PolicyRequest) -> object:
        if not self.arguments:
            return self._reader(request)
        return self._reader(request), self._picked(request), request.hypothetical

    def _picked(self, request: PolicyRequest) -> str:
        return json.dumps(pick(request.arguments, self.arguments), sort_keys=True)

    def evaluate(self, request: PolicyRequest) -> PolicyDecision:
        """Decide; of a hypothetical call, whether there are arguments with which it may be allowed."""
        if not (request.hypothetical and self.arguments):
            return self._ask(request)
        if self._without is None:
            others = (policy for policy in self._policies.values() if not policy.arguments)
            self._without = Rules(tuple(others))
        decision = self._without.evaluate(request)
        if decision.effect is not Effect.NO_PERMIT:
            return decision
        permits = (one for one in self._policies.values() if one.arguments and one.permits)
        ids = tuple(policy.id for policy in permits)
        return PolicyDecision(Effect.PERMIT, ids) if ids else decision

    def _ask(self, request: PolicyRequest) -> PolicyDecision:
        """Ask Cedar. An error of one policy is the answer, whatever the others say (P7)."""
        arguments = pick(request.arguments, self.arguments) if self.arguments else None
        question = {
            "principal": {"type": APPLICATION, "id": request.application},
            "action": {"type": ACTION, "id": request.scope},
            "resource": {"type": RESOURCE, "id": request.resource},
            "context": render_context(request, self._attributes, arguments),
        }
        try:
            answer = cedarpy.is_authorized(question, self._compiled, _NO_ENTITIES)
        except ValueError as error:
            return PolicyDecision(Effect.ERROR, (), _shorten(str(error)))
        errors = answer.diagnostics.errors
        if errors:
            return self._failed(errors)
        policies = self._names(
            [int(id_.removeprefix("policy")) for id_ in answer.diagnostics.reasons]
        )
        if answer.allowed:
            return PolicyDecision(Effect.PERMIT, policies)
        return PolicyDecision(Effect.FORBID if policies else Effect.NO_PERMIT, policies)

    def _failed(self, errors: list[str]) -> PolicyDecision:
        failed = sorted((int(found[1]), found[2]) for found in map(_FAILED.match, errors) if found)
        messages = [message for _, message in failed] or errors
        return PolicyDecision(
            Effect.ERROR, self._names([at for at, _ in failed]), _shorten(messages[0])
        )

    def _names(self, positions: list[int]) -> tuple[str, ...]:
        return tuple(self._policies[position].id for position in sorted(positions))


def _no_facts(_: PolicyRequest) -> object:
    return ()


def _shorten(message: str) -> str:
    return message[:_MAX_DETAIL]


@dataclass(slots=True)
class Slice:
    """The rules of one application, scope and resource, and what they have said so far."""

    rules: Rules
    decisions: dict[object, PolicyDecision] = field(default_factory=dict)
