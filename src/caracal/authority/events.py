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
    POLICY_DOCUMENT = "policy.document"
    """A data document or a set of them is kept, or kept no longer. Neither decides anything."""
    KEY_ROTATE = "key.rotate"
    OPERATOR_TOKEN = "operator.token"  # noqa: S105 (a tag)
    ADMIN_REFUSED = "admin.refused"
    SERVICE_START = "service.start"
    EVIDENCE_DROP = "evidence.drop"
    """Entries at the beginning of the log were dropped, once exported: those before `end_index`."""
    EVIDENCE_EXPORT = "evidence.export"
    """Entries `first_index` to `end_index` (exclusive) were stored durably where `target` says; `digest` is
    that of the manifest of their files. Retention rests on it."""
    EVIDENCE_SHRED = "evidence.shred"
    """What opens commitments made before this entry is erased: of a person, or of all up to an instant."""
    EVIDENCE_REDACT = "evidence.redact"
    """What opens one commitment of one entry is erased."""
    SHARD_CHECKPOINT = "shard.checkpoint"
    """A shard's log has grown, and continues what was recorded of it before; `checkpoint` is signed."""
    EVIDENCE_SETTLE = "evidence.settle"
    """Every call that the process `target` admitted has a result in its log by now."""
    TOOL_SEEN = "tool.seen"
    """An MCP server listed a tool whose definition was not known; `digest` is that of the definition."""
    TOOL_CHANGED = "tool.changed"
    """An MCP server defines a tool otherwise than before; the tool is held from now on."""
    TOOL_ACCEPT = "tool.accept"
    """An operator accepted the definition of a tool that has this `digest`."""


class Verdict(StrEnum):
    ALLOW = "allow"
    REFUSE = "refuse"
    NONE = ""


class CallError(StrEnum):
    """Why an admitted call did not end well: who or what ended it. Values are never reused."""

    NOT_SENT = "not_sent"
    """Nothing left the Gateway: no credential, no permission to reach the host, not a valid request."""
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_FIRST_BYTE = "timeout_first_byte"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    PROTOCOL = "protocol"
    RESET = "reset"
    """The upstream closed the connection before its response was whole."""
    CALLER_GONE = "caller_gone"
    CALLER_BODY = "caller_body"
    """The caller's body was too large, too late or malformed."""
    CUT_BY_REVOCATION = "cut_by_revocation"
    GIVEN_UP = "given_up"
    """The Gateway ended it: it was told to stop, or could not tell any more whether authority lasts."""
    INTERNAL = "internal"
    OUTCOME_UNKNOWN = "outcome_unknown"
    """The process ended first. The call may have had its effect."""
    NONE = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of a zone's evidence, as recorded.

    Attributes:
        at: when it was decided: microseconds since the epoch, UTC, by the clock of whoever decided.
        sequenced_at: when it got its place in the log, likewise, by the clock of whoever writes the log;
            never less than that of the entry before. Set by the sequencer and by nobody else.
        request: id of the HTTP request that caused it.
        scopes: asked for at an exchange, needed at a call; space separated.
        policy: digest of the policy version that was asked; `policies` the ids that decided.
        mandate: id of the mandate minted or presented; `answers` the request id of the decision that a
            result belongs to.
        target: what an administrative act was done to.
        subject_issuer: who vouches for the subject when it is a user.
        detail: a human sentence, without secrets.
        instance: the `request` of the `service.start` of the process that decided; in a result of unknown
            outcome, which Audit records, that of its call.
        arguments: hex SHA-256 of a call's query, as it came.
        approval: id of the approval that the decision rests on.
        committed: what is committed to instead of written: field to base64url of
            SHA-256(salt || 0x00 || canonical JSON of the value).
        digest: hex SHA-256 of what was applied, or at a start of the settings, which hold no secret.
        code, code_state: at a start, the digest of what is installed, and whether it is as released.
        status, received_bytes, sent_bytes, duration_us: of a call's result.
        lifecycle, labels, depth: of the session, where policy was asked: `policy/recording.py`.
        root: name of the application that the delegations began with, where it is another.
        template: the declared operation that a call is, where it reads differently.
        asked: the resources that policy was asked about, where `resource` does not name them.
        undeclared: scopes that the resource did not declare any more; space separated.
        held: scopes that the delegation or the mandate held, where `scopes` are others.
        body, answer: hex SHA-256 of the bodies of `sent_bytes` and `received_bytes`, as far as they came.
        error: what ended a call that did not end well.
        first_index, end_index: the entries that an act on evidence was about; the second is exclusive.
        checkpoint: the signed checkpoint of a shard's log, as it is.
        narrowed: ids of what the presented mandate was narrowed from, the one that was minted first.
        holders: thumbprints of keys (RFC 7638): at a call of those that narrowed each in `narrowed`;
            at an exchange of the one that the mandate is bound to.
        mandate_class: of the mandate minted, where it is good for more than one call.
        argument_values: a message's arguments in RFC 8785 form, where the resource wants them recorded.
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
    lifecycle: str = ""
    labels: tuple[str, ...] = ()
    depth: int = 0
    root: str = ""
    template: str = ""
    asked: tuple[str, ...] = ()
    undeclared: str = ""
    held: str = ""
    sequenced_at: int = 0
    instance: str = ""
    arguments: str = ""
    approval: str = ""
    committed: dict[str, str] = {}
    code: str = ""
    code_state: str = ""
    body: str = ""
    answer: str = ""
    error: CallError = CallError.NONE
    first_index: int = 0
    end_index: int = 0
    checkpoint: str = ""
    narrowed: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    argument_values: str = ""
    mandate_class: str = ""
