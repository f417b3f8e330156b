"""Cedar text to policies: what each is called, whom it is about, which facts it reads."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

import msgspec
from cedarpy import policies_to_json_str

from caracal.authority.policy.arguments import Reads, read_arguments
from caracal.authority.policy.cedar_text import CedarText, Statement
from caracal.authority.policy.problems import PolicyProblem
from caracal.authority.policy.schema import ContextAttribute, attributes_along

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_POLICIES: Final = 10_000
MAX_ID: Final = 128
# Cedar recurses over what it reads and checks; unbounded input would overflow the stack.
MAX_TOKENS: Final = 4_000
MAX_BRACKETS: Final = 50
MAX_DEPTH: Final = 100

_BATCH = 100
_END_OF_INPUT = "unexpected end of input"
_TOO_DEEP = "the conditions nest too deeply: use a set, or several policies"


class EntityUid(msgspec.Struct, frozen=True, order=True):
    """An entity that a policy names, such as `Application::"intake"`."""

    type: str
    id: str


class _Within(msgspec.Struct, frozen=True):
    entity: EntityUid


class _Head(msgspec.Struct, frozen=True):
    """One part of a policy's head, in Cedar's JSON."""

    entity: EntityUid | None = None
    entities: tuple[EntityUid, ...] | None = None
    within: _Within | None = msgspec.field(name="in", default=None)

    def named(self) -> frozenset[EntityUid] | None:
        """The entities that it is limited to, or `None`. There are no hierarchies: `in` is `==`."""
        if self.entities is not None:
            return frozenset(self.entities)
        entity = self.entity if self.within is None else self.within.entity
        return None if entity is None else frozenset({entity})


class _Policy(msgspec.Struct, frozen=True):
    principal: _Head
    action: _Head
    resource: _Head
    conditions: list[object]
    effect: str = "permit"
    annotations: dict[str, str | None] = {}


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    templates: dict[str, msgspec.Raw]
    static_policies: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of a text.

    Attributes:
        position: its place among the policies of the text, from 0.
        id: its `@id`, or `policy<position>`.
        principals, actions, resources: whom its head is limited to; `None` for anyone and anything.
        entities: every entity that it names, in its head or its conditions.
        reads: the facts that its conditions can depend on.
        arguments: what of `context.call.arguments` they read.
        compares: facts, as `phase` or `session.lifecycle`, and texts that they are compared with.
        json: the policy in Cedar's JSON.
        permits: whether it is a `permit`.
    """

    position: int
    id: str
    statement: Statement
    principals: frozenset[EntityUid] | None
    actions: frozenset[EntityUid] | None
    resources: frozenset[EntityUid] | None
    entities: frozenset[EntityUid]
    reads: frozenset[ContextAttribute]
    arguments: Reads
    compares: frozenset[tuple[str, str]]
    json: str
    permits: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text holds; with problems, `policies` are those that could be read."""

    source: CedarText
    policies: tuple[Policy, ...]
    problems: tuple[PolicyProblem, ...]

    def problem(self, offset: int, message: str) -> PolicyProblem:
        return problem_at(self.source, offset, message)


@dataclass(frozen=True, slots=True)
class _Fault:
    offset: int
    message: str


def problem_at(source: CedarText, offset: int, message: str) -> PolicyProblem:
    position = source.position(offset)
    return PolicyProblem(position.line, position.column, message)


def read_policies(text: str) -> Reading:
    """Read a text of policies. Names and types are not looked at (docs/policy.md P10)."""
    source = CedarText(text)
    outcomes = _read_all(source)
    policies = tuple(entry for entry in outcomes if isinstance(entry, Policy))
    faults = [entry for entry in outcomes if isinstance(entry, _Fault)] + _check_ids(policies)
    problems = tuple(problem_at(source, fault.offset, fault.message) for fault in faults)
    return Reading(source, policies, problems)


def _read_all(source: CedarText) -> list[Policy | _Fault]:
    try:
        size = len(source.text.encode())
    except UnicodeEncodeError as error:
        return [_Fault(error.start, "this is not a Unicode character")]
    if size > MAX_BYTES:
        return [_Fault(0, f"the text has {size} bytes; at most {MAX_BYTES} are read")]
    statements = list(source.statements())
    if len(statements) > MAX_POLICIES:
        start = statements[MAX_POLICIES].start
        return [_Fault(start, f"there are {len(statements)} policies; at most {MAX_POLICIES}")]
    return [
        outcome
        for first in range(0, len(statements), _BATCH)
        for outcome in _read_batch(first, statements[first : first + _BATCH])
    ]


def _read_batch(first: int, statements: list[Statement]) -> list[Policy | _Fault]:
    """Read all at once, which is several times faster; one by one to find what is wrong."""
    numbered = list(enumerate(statements, first))
    if not any(map(_unsafe, statements)):
        try:
            document = _parse("\n".join(statement.text for statement in statements))
        except (ValueError, RecursionError):
            pass
        else:
            if len(document.static_policies) == len(statements):
                raws = [document.static_policies[f"policy{at}"] for at in range(len(statements))]
                pairs = zip(numbered, raws, strict=True)
                return [_describe(at, statement, raw) for (at, statement), raw in pairs]
    return [_read_one(at, statement) for at, statement in numbered]


def _parse(text: str) -> _Document:
    return msgspec.json.decode(policies_to_json_str(text), type=_Document)


def _unsafe(statement: Statement) -> str:
    """Why the statement must not be given to Cedar; empty when it may be."""
    if statement.size > MAX_TOKENS:
        return f"the policy has {statement.size} words and marks; at most {MAX_TOKENS}"
    return _TOO_DEEP if statement.nesting > MAX_BRACKETS else ""


def _read_one(position: int, statement: Statement) -> Policy | _Fault:
    if unsafe := _unsafe(statement):
        return _Fault(statement.start, unsafe)
    try:
        document = _parse(statement.text)
    except ValueError as error:
        return _locate(statement, str(error))
    except RecursionError:
        return _Fault(statement.start, _TOO_DEEP)
    for raw in document.static_policies.values():
        return _describe(position, statement, raw)
    return _Fault(statement.find_word(["?"]), "templates (?principal, ?resource) are not supported")


def _describe(position: int, statement: Statement, raw: msgspec.Raw) -> Policy | _Fault:
    policy = msgspec.json.decode(raw, type=_Policy)
    survey = _survey(policy.conditions)
    if survey is None:
        return _Fault(statement.start, _TOO_DEEP)
    heads = [policy.principal.named(), policy.action.named(), policy.resource.named()]
    name = policy.annotations.get("id", f"policy{position}") or ""
    if not name or len(name) > MAX_ID or not name.isprintable():
        message = f"@id must be 1 to {MAX_ID} printable characters"
        return _Fault(statement.find_annotation("id"), message)
    return Policy(
        position=position,
        id=name,
        statement=statement,
        principals=heads[0],
        actions=heads[1],
        resources=heads[2],
        entities=survey.entities.union(*(head for head in heads if head is not None)),
        reads=survey.reads,
        arguments=read_arguments(policy.conditions),
        compares=survey.compares,
        json=bytes(raw).decode(),
        permits=policy.effect == "permit",
    )


def _check_ids(policies: tuple[Policy, ...]) -> list[_Fault]:
    seen: set[str] = set()
    faults = []
    for policy in policies:
        if policy.id in seen:
            offset = policy.statement.find_annotation("id")
            faults.append(_Fault(offset, f'another policy has the id "{policy.id}" already'))
        seen.add(policy.id)
    return faults


@dataclass(frozen=True, slots=True)
class _Survey:
    entities: frozenset[EntityUid]
    reads: frozenset[ContextAttribute]
    compares: frozenset[tuple[str, str]]


def _survey(conditions: list[object]) -> _Survey | None:
    """Walk the conditions in Cedar's JSON; `None` when they are too deep to be evaluated."""
    entities: set[EntityUid] = set()
    reads: set[ContextAttribute] = set()
    compares: set[tuple[str, str]] = set()
    waiting: list[tuple[object, int]] = [(conditions, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return None
        match node:
            case {"__entity": {"type": str(kind), "id": str(name)}}:
                entities.add(EntityUid(kind, name))
            case dict():
                compares |= _comparisons(node)
                path = _context_path(node)
                if path is None:
                    waiting.extend((inner, depth + 1) for inner in node.values())
                else:
                    reads |= attributes_along(path)
            case list():
                waiting.extend((inner, depth + 1) for inner in node)
            case _:
                pass
    return _Survey(frozenset(entities), frozenset(reads), frozenset(compares))


def _comparisons(node: object) -> set[tuple[str, str]]:
    match node:
        case {"==": {"left": left, "right": right}} | {"!=": {"left": left, "right": right}}:
            return {
                (".".join(path), text)
                for one, other in ((left, right), (right, left))
                if (path := _context_path(one)) and (text := _text(other)) is not None
            }
        case _:
            return set()


def _text(node: object) -> str | None:
    match node:
        case {"Value": str(text)}:
            return text
        case _:
            return None


def _context_path(node: object) -> tuple[str, ...] | None:
    """The path of `context.a.b`, `()` for `context` itself, `None` for anything else."""
    names: list[str] = []
    while True:
        match node:
            case {"Var": "context"}:
                return tuple(reversed(names))
            case {".": {"left": left, "attr": str(name)}}:
                names.append(name)
                node = left
            case _:
                return None


def _locate(statement: Statement, message: str) -> _Fault:
    """Find the place that Cedar's message is about."""
    if message == _END_OF_INPUT:
        return _Fault(statement.end, message)
    if message.startswith("unexpected token") or message == "invalid token":
        # Ended early, a policy is unfinished up to the token that can not follow; with it, it is wrong
        # in the way that the whole policy is.
        tokens = statement.tokens()
        found = bisect_left(tokens[:-1], 1, key=lambda token: _fails(statement, token.end, message))
        return _Fault(tokens[found].start, message)
    return _Fault(statement.find_word(mentioned(message)), message)


def _fails(statement: Statement, end: int, message: str) -> bool:
    try:
        policies_to_json_str(statement.whole[statement.start : end] + ";")
    except ValueError as error:
        return str(error) == message
    return False


def mentioned(message: str) -> list[str]:
    """The words of the policy that one of Cedar's messages quotes."""
    quoted = re.findall(r"`([^`]+)`", message)
    return [*quoted, *(word.rsplit(".", 1)[-1] for word in quoted), message.rsplit(": ", 1)[-1]]
