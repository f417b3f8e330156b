"""Is a policy text fit for a zone? Every problem comes with its line and column."""

import re
from collections.abc import Collection
from typing import Final

from cedarpy import Schema, validate_policies

from caracal.authority.policy.arguments import problem_of, render_type
from caracal.authority.policy.problems import PolicyProblem
from caracal.authority.policy.reading import (
    EntityUid,
    Policy,
    Reading,
    mentioned,
    read_policies,
)
from caracal.authority.policy.requests import Phase
from caracal.authority.policy.schema import (
    ACTION,
    APPLICATION,
    OTHER_ACTION,
    RESOURCE,
    PolicyVocabulary,
    render_schema,
)
from caracal.authority.sessions import Lifecycle

__all__ = ["MAX_PROBLEMS", "PolicyProblem", "check_reading", "validate"]

MAX_PROBLEMS: Final = 100

_POLICY = re.compile(r"^for policy `policy\d+`, ")
_NEVER_APPLIES = "unable to find an applicable action"
_FOR_ACTION = re.compile(r' in context for Action::"[^"]*"')


def validate(text: str, vocabulary: PolicyVocabulary) -> tuple[PolicyProblem, ...]:
    """The problems of a text, in order of place, at most 100; none when it can be put into effect."""
    return check_reading(read_policies(text), vocabulary)


def check_reading(reading: Reading, vocabulary: PolicyVocabulary) -> tuple[PolicyProblem, ...]:
    """As `validate`, for a text that has been read."""
    problems = set(reading.problems)
    well_named: list[Policy] = []
    for policy in reading.policies:
        wrong_names = _check_names(reading, policy, vocabulary)
        problems.update(wrong_names)
        if not wrong_names:
            well_named.append(policy)
    problems.update(_check_types(reading, well_named))
    return tuple(sorted(problems)[:MAX_PROBLEMS])


def _check_names(
    reading: Reading, policy: Policy, vocabulary: PolicyVocabulary
) -> list[PolicyProblem]:
    faults = [
        (uid, message)
        for uid in policy.entities
        if (message := _unknown(uid, vocabulary)) is not None
    ] or _undeclared(policy, vocabulary)
    statement = policy.statement
    fault, word = problem_of(policy.arguments)
    unread = [reading.problem(statement.find_word([word]), fault)] if fault else []
    return (
        unread
        + [
            reading.problem(statement.find_entity(uid.type, uid.id), message)
            for uid, message in faults
        ]
        + [
            reading.problem(statement.find_string(text), f'context.{fact} is never "{text}"')
            for fact, text in policy.compares
            if text not in _values(fact, vocabulary, text)
        ]
    )


def _values(fact: str, vocabulary: PolicyVocabulary, text: str) -> Collection[str]:
    """What a fact can be; whatever the policy has, where that is not known beforehand."""
    match fact:
        case "phase":
            return tuple(Phase)
        case "session.lifecycle":
            return ("", *Lifecycle)
        case "delegation.root":
            return vocabulary.applications | {""}
        case _:
            return (text,)


def _unknown(uid: EntityUid, vocabulary: PolicyVocabulary) -> str | None:
    match uid.type:
        case "Application":
            known = uid.id in vocabulary.applications
            return None if known else f'the zone has no application "{uid.id}"'
        case "Resource":
            known = uid.id in vocabulary.resources
            return None if known else f'the zone has no resource "{uid.id}"'
        case "Action":
            known = uid.id in vocabulary.scopes
            return None if known else f'no resource of the zone declares the scope "{uid.id}"'
        case _:
            return f"{uid.type} is not one of {APPLICATION}, {ACTION} and {RESOURCE}"


def _undeclared(policy: Policy, vocabulary: PolicyVocabulary) -> list[tuple[EntityUid, str]]:
    """The actions of the head that do not exist on the resource of the head (P10)."""
    return [
        (action, f'the resource "{resource.id}" does not declare the scope "{action.id}"')
        for resource in policy.resources or ()
        for action in policy.actions or ()
        if not vocabulary.declares(resource.id, action.id)
    ]


def _check_types(reading: Reading, policies: list[Policy]) -> list[PolicyProblem]:
    """Let Cedar check types.

    Its work grows with the actions of the schema, and those that a policy does not name are all
    alike to it: each group of policies gets a schema of what it names and one action more.
    """
    groups: dict[tuple[frozenset[str], str], list[Policy]] = {}
    for policy in policies:
        actions = frozenset(uid.id for uid in policy.entities if uid.type == ACTION)
        arguments = render_type(policy.arguments)
        groups.setdefault((actions | {OTHER_ACTION}, arguments), []).append(policy)
    return [
        problem
        for (actions, arguments), group in groups.items()
        for problem in _check_group(reading, group, actions, arguments)
    ]


def _check_group(
    reading: Reading, policies: list[Policy], actions: frozenset[str], arguments: str
) -> list[PolicyProblem]:
    text = "\n".join(policy.statement.text for policy in policies)
    found: dict[int, set[str]] = {}
    for error in validate_policies(text, Schema.from_str(render_schema(actions, arguments))).errors:
        message = _FOR_ACTION.sub(" of the context", _POLICY.sub("", error.error))
        found.setdefault(int(error.policy_id.removeprefix("policy")), set()).add(message)
    return [
        reading.problem(policies[at].statement.find_word(mentioned(message)), message)
        for at, messages in found.items()
        for message in messages
        # It follows from the others, or has to stand for itself.
        if len(messages) == 1 or not message.startswith(_NEVER_APPLIES)
    ]
