"""What a version of a policy set would decide: the same engine is asked, and nothing is at stake."""

from dataclasses import dataclass
from typing import Final

import msgspec

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.asking import ask_policy
from caracal.authority.policy.documents.bundle import Bundle
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Asked, Phase
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import LIFECYCLE, InvalidScope, ScopeSet
from caracal_server.ports.zones import ZoneRecord

ALLOW: Final = "allow"
DENY: Final = "deny"
_BOOTSTRAP: Final = "session-bootstrap"


class Principal(msgspec.Struct, frozen=True):
    """Who asks: an application, by id or name, in a session with these labels."""

    id: str = ""
    zone_id: str = ""
    lifecycle: str = ""
    labels: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True):
    identifier: str = ""
    id: str = ""


class Action(msgspec.Struct, frozen=True):
    id: str = ""
    method: str = ""
    path: str = ""


class Edge(msgspec.Struct, frozen=True):
    scopes: tuple[str, ...] = ()


class SubjectClaims(msgspec.Struct, frozen=True):
    """Of the mandate that a call brings."""

    scope: str = ""
    target: tuple[str, ...] | str = ()


class Context(msgspec.Struct, frozen=True):
    requested_scopes: tuple[str, ...] | None = None
    subject_claims: SubjectClaims | None = None


class Hypothesis(msgspec.Struct, frozen=True):
    """A request that nobody made. A mandate in it makes it a call, otherwise it is an exchange."""

    principal: Principal = Principal()
    resource: Target = Target()
    action: Action | None = None
    delegation_edge: Edge | None = None
    context: Context | None = None
    schema_version: str = ""


class Determining(msgspec.Struct, frozen=True):
    policy: str


class Diagnostic(msgspec.Struct, frozen=True):
    """`reason` is the word of data documents for it, `caracal_reason` the one of entries."""

    reason: str
    caracal_reason: str
    detail: str


class Result(msgspec.Struct, frozen=True):
    decision: str
    determining_policies: tuple[Determining, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    evaluation_status: str = "complete"


@dataclass(frozen=True, slots=True)
class Simulation:
    """One bundle in one zone.

    Attributes:
        engine: of the policy that the bundle would be.
    """

    record: ZoneRecord
    bundle: Bundle
    engine: PolicyEngine

    def decide(self, asked: Hypothesis) -> Result:
        """Decide on a hypothetical request: session, delegation and mandate are taken to be live."""
        resource = self._resource(asked.resource)
        application = next(
            (one for one in self.record.applications if asked.principal.id in {one.id, one.name}),
            None,
        )
        if resource is None or application is None:
            missing = Reason.CLIENT_UNKNOWN if resource is not None else Reason.RESOURCE_UNKNOWN
            return _denied("resource_not_granted", Refused(missing, "the zone does not have it"))
        try:
            scopes = _scopes(asked)
        except InvalidScope as invalid:
            return _denied("no_rule_matched", Refused(Reason.SCOPE_UNKNOWN, str(invalid)))
        context = asked.context or Context()
        phase = Phase.EXCHANGE if context.subject_claims is None else Phase.CALL
        if phase is Phase.EXCHANGE and scopes == ScopeSet.of(LIFECYCLE):
            return Result(ALLOW, (Determining(_BOOTSTRAP),))
        refused = _beyond(asked, phase, resource, scopes)
        if refused is not None:
            return refused
        action = asked.action or Action()
        question = Asked(
            phase=phase,
            application=application.name,
            scopes=scopes,
            resources=(resource,),
            session_labels=asked.principal.labels,
            session_lifecycle=asked.principal.lifecycle,
            root_application=application.name,
            method=action.method,
            path=action.path,
        )
        outcome = ask_policy(self.engine, question, resource)
        if isinstance(outcome, Refused):
            owns = self.bundle.owner(resource) == application.id
            return _denied(_word(outcome, owns=owns), outcome)
        return Result(ALLOW, tuple(map(Determining, outcome)))

    def _resource(self, target: Target) -> ResourceUri | None:
        for one in self.record.resources:
            if one.identifier == target.identifier or (target.id and one.id == target.id):
                return one.identifier
        return None


def vocabulary(record: ZoneRecord) -> PolicyVocabulary:
    """The names that a policy of the zone may use."""
    return PolicyVocabulary(
        frozenset(one.name for one in record.applications),
        {one.identifier: one.scopes for one in record.resources},
    )


def warnings(asked: Hypothesis, schema_version: str, zone_id: str) -> tuple[str, ...]:
    """What a hypothetical request lacks, or says of another zone."""
    found = {
        "input_schema_mismatch": asked.schema_version not in {"", schema_version},
        "principal_zone_mismatch": asked.principal.zone_id not in {"", zone_id},
        "missing_resource": asked.resource == Target(),
        "missing_action": asked.action is None,
        "missing_context": asked.context is None,
    }
    return tuple(name for name, there in found.items() if there)


def _scopes(asked: Hypothesis) -> ScopeSet:
    context = asked.context or Context()
    if context.subject_claims is not None:
        return ScopeSet.parse(context.subject_claims.scope)
    return ScopeSet.from_texts(context.requested_scopes or ())


def _beyond(
    asked: Hypothesis, phase: Phase, resource: ResourceUri, scopes: ScopeSet
) -> Result | None:
    """Why it is refused before policy is asked."""
    if not len(scopes) or LIFECYCLE in scopes:
        return _denied("no_rule_matched", Refused(Reason.SCOPE_MISSING, "no scope to decide on"))
    if phase is Phase.CALL:
        claims = (asked.context or Context()).subject_claims or SubjectClaims()
        targets = (claims.target,) if isinstance(claims.target, str) else claims.target
        if resource not in targets:
            refused = Refused(Reason.TARGET_MISMATCH, f"the mandate is not for {resource}")
            return _denied("mandate_target_mismatch", refused)
        return None
    if asked.delegation_edge is None:
        refused = Refused(Reason.DELEGATION_REQUIRED, "a scope needs a session and a delegation")
        return _denied("no_rule_matched", refused)
    held = frozenset(asked.delegation_edge.scopes)
    if not scopes.scopes <= held:
        refused = Refused(Reason.DELEGATION_SCOPE_EXCEEDED, "the delegation does not grant it")
        return _denied("delegation_scope_exceeded", refused)
    return None


def _word(refused: Refused, *, owns: bool) -> str:
    named = " ".join(refused.policies)
    if named.startswith("restriction"):
        return "restriction_active"
    if named.startswith("confinement"):
        return "confinement_violation"
    if named.startswith("approval needed"):
        return "approval_required"
    return "role_scope_mismatch" if owns else "resource_not_granted"


def _denied(word: str, refused: Refused) -> Result:
    return Result(
        DENY,
        tuple(map(Determining, refused.policies)),
        (Diagnostic(word, refused.reason, refused.detail),),
    )
