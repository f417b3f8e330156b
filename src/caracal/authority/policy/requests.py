"""What policy is asked, and what it answers."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from caracal.authority.scopes import NO_SCOPES, Scope, ScopeSet


class Phase(StrEnum):
    """When policy is asked: as a mandate is minted, or as a call is about to go upstream."""

    EXCHANGE = "exchange"
    CALL = "call"


def label_prefixes(labels: Iterable[str]) -> tuple[str, ...]:
    """Everything that some label begins with, itself included: the empty text too, if there is a label."""
    return tuple(sorted({label[:end] for label in labels for end in range(len(label) + 1)}))


class PolicyRequest(msgspec.Struct, frozen=True):
    """One question: may this application do what this scope stands for, on this resource, now?

    Attributes:
        application: the application's name.
        resource: the resource's identifier.
        operation: `METHOD /template` of the call; empty at exchange.
        method, path: of the call as it stands, decoded; empty at exchange.
        hops: how many delegations lie behind it.
        root_application: the name of the application that the chain began with.
        arguments: of the call, as JSON; empty without any, and at an API.
        hypothetical: whether some call is meant, whatever its arguments; never a call that is made.
    """

    phase: Phase
    application: str
    scope: Scope
    resource: str
    session_labels: tuple[str, ...] = ()
    session_lifecycle: str = ""
    session_depth: int = 0
    hops: int = 0
    root_application: str = ""
    operation: str = ""
    method: str = ""
    path: str = ""
    arguments: str = ""
    hypothetical: bool = False

    @property
    def session_label_prefixes(self) -> tuple[str, ...]:
        return label_prefixes(self.session_labels)


class Asked(msgspec.Struct, frozen=True):
    """All that one decision put to policy: a question for each scope on each resource.

    Attributes:
        resources: identifiers, in the order of the request.
        undeclared: scopes that the resource did not declare any more; policy permits none of them.
        arguments: of the call, as JSON; empty without any, and at an API.
        arguments_known: whether that is what they were; of what is replayed it may not be on record.
        hypothetical: whether some call is meant, whatever its arguments.
    """

    phase: Phase
    application: str
    scopes: ScopeSet
    resources: tuple[str, ...]
    session_labels: tuple[str, ...] = ()
    session_lifecycle: str = ""
    session_depth: int = 0
    hops: int = 0
    root_application: str = ""
    operation: str = ""
    method: str = ""
    path: str = ""
    undeclared: ScopeSet = NO_SCOPES
    arguments: str = ""
    arguments_known: bool = True
    hypothetical: bool = False

    @property
    def session_label_prefixes(self) -> tuple[str, ...]:
        return label_prefixes(self.session_labels)

    def about(self, resources: Iterable[str]) -> "Asked":
        """The same about these resources."""
        return msgspec.structs.replace(self, resources=tuple(resources))

    def question(self, resource: str, scope: Scope) -> PolicyRequest:
        """What is asked about one scope on one resource."""
        return PolicyRequest(
            phase=self.phase,
            application=self.application,
            scope=scope,
            resource=resource,
            session_labels=self.session_labels,
            session_lifecycle=self.session_lifecycle,
            session_depth=self.session_depth,
            hops=self.hops,
            root_application=self.root_application,
            operation=self.operation,
            method=self.method,
            path=self.path,
            arguments=self.arguments,
            hypothetical=self.hypothetical,
        )


class Effect(StrEnum):
    PERMIT = "permit"
    NO_PERMIT = "no_permit"
    FORBID = "forbid"
    ERROR = "error"


class PolicyDecision(msgspec.Struct, frozen=True):
    """What policy said.

    Attributes:
        policies: ids of the policies that decided: the permits, the forbids, or those that failed.
        detail: the message of an evaluation error; empty otherwise.
    """

    effect: Effect
    policies: tuple[str, ...] = ()
    detail: str = ""

    @property
    def permitted(self) -> bool:
        return self.effect is Effect.PERMIT
