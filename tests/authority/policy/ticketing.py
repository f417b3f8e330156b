"""A small zone to write policies about, and Cedar asked without slices, memory or shortcuts."""

import re

import cedarpy
from msgspec.structs import asdict

from caracal.authority.policy.requests import Effect, Phase, PolicyDecision, PolicyRequest
from caracal.authority.policy.schema import CONTEXT, PolicyVocabulary, render_context
from caracal.authority.scopes import LIFECYCLE, Scope, ScopeSet

TICKETS = "https://tickets.example/api"
MAIL = "https://mail.example/api"
APPLICATIONS = ("intake", "triage", 'the "quoted" one')
SCOPES = ("tickets:read", "tickets:write", "mail:send", "shared:use")

VOCABULARY = PolicyVocabulary(
    applications=frozenset(APPLICATIONS),
    resources={
        TICKETS: ScopeSet.of("tickets:read", "tickets:write", "shared:use"),
        MAIL: ScopeSet.of("mail:send", "shared:use", LIFECYCLE),
    },
)

DEFAULTS = PolicyRequest(Phase.EXCHANGE, "intake", Scope("tickets:read"), TICKETS)


def asking(**changes: object) -> PolicyRequest:
    return PolicyRequest(**(asdict(DEFAULTS) | changes))


def ask_cedar(text: str, request: PolicyRequest) -> PolicyDecision:
    """What the rules of docs/policy.md make of Cedar's answer about the whole text."""
    answer = cedarpy.is_authorized(
        {
            "principal": {"type": "Application", "id": request.application},
            "action": {"type": "Action", "id": request.scope},
            "resource": {"type": "Resource", "id": request.resource},
            "context": render_context(request, CONTEXT),
        },
        text,
        [],
    )
    failed = re.findall(
        r"while evaluating policy `(policy\d+)`", " ".join(answer.diagnostics.errors)
    )
    if failed:
        return PolicyDecision(Effect.ERROR, in_order(failed))
    decided = in_order(answer.diagnostics.reasons)
    if answer.allowed:
        return PolicyDecision(Effect.PERMIT, decided)
    return PolicyDecision(Effect.FORBID if decided else Effect.NO_PERMIT, decided)


def in_order(ids: list[str]) -> tuple[str, ...]:
    return tuple(sorted(ids, key=lambda name: int(name.removeprefix("policy"))))
