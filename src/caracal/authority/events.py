"""What is worth recording: one entry for every decision, effect and administrative act.

An entry's `kind` is its tag. A tag, once released, keeps its meaning; a field may be added, none is
renamed or given another meaning. Empty fields are left out of the recorded form.
"""

from enum import StrEnum

import msgspec

ENTRY_FORMAT = 1


class Kind(StrEnum):
    """Tags of the entries. Never reused."""

    EXCHANGE = "exchange"
    """The STS decided on a mandate. Recorded before the mandate leaves."""
    CALL = "call"
    """The Gateway decided on a call. Recorded before anything reaches the upstream."""
    CALL_RESULT = "call.result"
    """What became of an allowed call."""
    SESSION_START = "session.start"
    SESSION_SUSPEND = "session.suspend"
    SESSION_RESUME = "session.resume"
    SESSION_END = "session.end"
    SESSION_LEASE = "session.lease"
    SUBJECT_REVOKE = "subject.revoke"
    """An operator ended all that works for a user."""
    DELEGATION_CREATE = "delegation.create"
    DELEGATION_REVOKE = "delegation.revoke"
    ZONE_APPLY = "zone.apply"
    KEY_ROTATE = "key.rotate"
    OPERATOR_TOKEN = "operator.token"  # noqa: S105 (a tag)
    ADMIN_REFUSED = "admin.refused"
    SERVICE_START = "service.start"


class Verdict(StrEnum):
    ALLOW = "allow"
    REFUSE = "refuse"
    NONE = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of a zone's evidence, as recorded.

    Attributes:
        at: when it was decided: microseconds since the epoch, UTC.
        request: id of the HTTP request that caused it.
        scopes: asked for at an exchange, needed at a call; space separated.
        policy: digest of the policy version that was asked; `policies` the ids that decided.
        mandate: id of the mandate minted or presented; `answers` the request id of the decision that a
            result belongs to.
        target: what an administrative act was done to.
        subject_issuer: who vouches for the subject when it is a user.
        detail: a human sentence, without secrets.
        status, received_bytes, sent_bytes, duration_us: of a call's result.
    """

    format: int
    kind: Kind
    zone: str
    at: int
    request: str
    verdict: Verdict = Verdict.NONE
    reason: str = ""
    detail: str = ""
    application: str = ""
    application_name: str = ""
    subject: str = ""
    subject_issuer: str = ""
    session: str = ""
    delegations: tuple[str, ...] = ()
    resource: str = ""
    operation: str = ""
    scopes: str = ""
    mandate: str = ""
    policy: str = ""
    policies: tuple[str, ...] = ()
    answers: str = ""
    target: str = ""
    actor: str = ""
    digest: str = ""
    status: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    duration_us: int = 0
    expires_at: int = 0
