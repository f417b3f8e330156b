"""Outcomes of a decision, and the reasons for a refusal.

A code, once published, keeps its meaning and is never used again for another.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from caracal.authority.policy.requests import Asked


class Reason(StrEnum):
    """Why something was refused. `docs/errors.md` says for each what to do."""

    # Who asks.
    CLIENT_UNKNOWN = "client_unknown"
    CLIENT_SECRET_WRONG = "client_secret_wrong"  # noqa: S105 (a reason code)
    CLIENT_ZONE_MISMATCH = "client_zone_mismatch"
    CLIENT_THROTTLED = "client_throttled"
    CLIENT_ASSERTION_INVALID = "client_assertion_invalid"
    CLIENT_ASSERTION_REPLAYED = "client_assertion_replayed"
    AUTHORIZATION_CODE_INVALID = "authorization_code_invalid"
    REDIRECT_MISMATCH = "redirect_mismatch"
    REGISTRATION_REFUSED = "registration_refused"
    SIGN_IN_FAILED = "sign_in_failed"
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported"
    SUBJECT_TOKEN_UNSUPPORTED = "subject_token_unsupported"  # noqa: S105 (a reason code)
    APPROVAL_UNKNOWN = "approval_unknown"
    # For whom: users whom an issuer vouches for.
    SUBJECT_ISSUER_UNKNOWN = "subject_issuer_unknown"
    SUBJECT_KEYS_UNAVAILABLE = "subject_keys_unavailable"
    SUBJECT_TOKEN_MALFORMED = "subject_token_malformed"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_SIGNATURE = "subject_token_signature"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_KEY_UNKNOWN = "subject_token_key_unknown"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_AUDIENCE = "subject_token_audience"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_EXPIRED = "subject_token_expired"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_NOT_YET_VALID = "subject_token_not_yet_valid"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_REPLAYED = "subject_token_replayed"  # noqa: S105 (a reason code)
    SUBJECT_TOKEN_MISMATCH = "subject_token_mismatch"  # noqa: S105 (a reason code)
    SUBJECT_NAME_INVALID = "subject_name_invalid"
    SUBJECT_REVOKED = "subject_revoked"
    RESOURCE_MANDATE_UNAVAILABLE = "resource_mandate_unavailable"
    CONTROL_KEY_REQUIRED = "control_key_required"
    CONTROL_KEY_EXPIRED = "control_key_expired"
    CONTROL_SCOPE_EXCEEDED = "control_scope_exceeded"
    CONTROL_KEY_ZONE = "control_key_zone"
    CONTROL_KEY_PROTECTED = "control_key_protected"
    # What is asked.
    REQUEST_MALFORMED = "request_malformed"
    RESOURCE_UNKNOWN = "resource_unknown"
    RESOURCE_MISSING = "resource_missing"
    SCOPE_UNKNOWN = "scope_unknown"
    SCOPE_MISSING = "scope_missing"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    # Sessions and delegations.
    SESSION_UNKNOWN = "session_unknown"
    SESSION_NOT_LIVE = "session_not_live"
    SESSION_FOREIGN = "session_foreign"
    SESSION_NOT_SUSPENDED = "session_not_suspended"
    SESSION_NOT_SERVICE = "session_not_service"
    SESSION_LEASE_EXPIRED = "session_lease_expired"
    SESSION_LEASE_FENCED = "session_lease_fenced"
    SESSION_LEASE_GENERATION_MISSING = "session_lease_generation_missing"
    SESSION_LIMIT_ZONE = "session_limit_zone"
    SESSION_LIMIT_APPLICATION = "session_limit_application"
    SESSION_LIMIT_CHILDREN = "session_limit_children"
    SESSION_LIMIT_DEPTH = "session_limit_depth"
    SESSION_PARENT_UNKNOWN = "session_parent_unknown"
    SESSION_PARENT_FOREIGN = "session_parent_foreign"
    SESSION_SERVICE_UNDER_TASK = "session_service_under_task"
    SESSION_INHERIT_INACTIVE = "session_inherit_inactive"
    SESSION_INHERIT_AMBIGUOUS = "session_inherit_ambiguous"
    DELEGATION_UNKNOWN = "delegation_unknown"
    DELEGATION_NOT_LIVE = "delegation_not_live"
    DELEGATION_FOREIGN = "delegation_foreign"
    DELEGATION_WITHOUT_SESSION = "delegation_without_session"
    DELEGATION_REQUIRED = "delegation_required"
    DELEGATION_EXPIRY_MISSING = "delegation_expiry_missing"
    DELEGATION_EXPIRED = "delegation_expired"
    DELEGATION_TO_ITSELF = "delegation_to_itself"
    DELEGATION_BROAD = "delegation_broad"
    DELEGATION_ENDPOINT_UNKNOWN = "delegation_endpoint_unknown"
    DELEGATION_APPLICATION_MISMATCH = "delegation_application_mismatch"
    DELEGATION_ISSUER_FOREIGN = "delegation_issuer_foreign"
    DELEGATION_SCOPES_EXCEED_RESOURCE = "delegation_scopes_exceed_resource"
    DELEGATION_SCOPE_EXCEEDED = "delegation_scope_exceeded"
    DELEGATION_RESOURCE_EXCEEDED = "delegation_resource_exceeded"
    DELEGATION_EXPIRY_EXCEEDED = "delegation_expiry_exceeded"
    DELEGATION_HOPS_EXCEEDED = "delegation_hops_exceeded"
    DELEGATION_TTL_EXCEEDED = "delegation_ttl_exceeded"
    DELEGATION_BUDGET_EXCEEDED = "delegation_budget_exceeded"
    DELEGATION_PARENT_INACTIVE = "delegation_parent_inactive"
    DELEGATION_PARENT_AMBIGUOUS = "delegation_parent_ambiguous"
    DELEGATION_CYCLE = "delegation_cycle"
    # Policy.
    POLICY_NONE_ACTIVE = "policy_none_active"
    POLICY_NO_PERMIT = "policy_no_permit"
    POLICY_FORBID = "policy_forbid"
    POLICY_ERROR = "policy_error"
    # Mandates.
    MANDATE_MISSING = "mandate_missing"
    MANDATE_MALFORMED = "mandate_malformed"
    MANDATE_TOO_LARGE = "mandate_too_large"
    MANDATE_SIGNATURE = "mandate_signature"
    MANDATE_KEY_UNKNOWN = "mandate_key_unknown"
    MANDATE_EXPIRED = "mandate_expired"
    MANDATE_EXPIRING = "mandate_expiring"
    MANDATE_NOT_YET_VALID = "mandate_not_yet_valid"
    MANDATE_ISSUER = "mandate_issuer"
    MANDATE_AUDIENCE = "mandate_audience"
    MANDATE_ZONE = "mandate_zone"
    MANDATE_CLASS = "mandate_class"
    MANDATE_REPLAYED = "mandate_replayed"
    MANDATE_PREDATES_START = "mandate_predates_start"
    MANDATE_REVOKED = "mandate_revoked"
    # What holders narrowed.
    NARROWING_BROKEN = "narrowing_broken"
    NARROWING_WIDENS = "narrowing_widens"
    NARROWING_TOO_DEEP = "narrowing_too_deep"
    NARROWING_UNFINISHED = "narrowing_unfinished"
    NARROWING_NOT_ACCEPTED = "narrowing_not_accepted"
    # Calls.
    ROUTING_MISSING = "routing_missing"
    ROUTING_FORBIDDEN_HEADER = "routing_forbidden_header"
    HEADER_DUPLICATE = "header_duplicate"
    FRAMING_INVALID = "framing_invalid"
    PATH_UNSAFE = "path_unsafe"
    METHOD_UNSUPPORTED = "method_unsupported"
    TARGET_MISMATCH = "target_mismatch"
    OPERATION_UNDECLARED = "operation_undeclared"
    OPERATION_SCOPE_MISSING = "operation_scope_missing"
    TOOL_UNKNOWN = "tool_unknown"
    TOOL_DEFINITION_CHANGED = "tool_definition_changed"
    TOOL_DEFINITION_UNACCEPTED = "tool_definition_unaccepted"
    MCP_MESSAGE_INVALID = "mcp_message_invalid"
    MCP_SESSION_FOREIGN = "mcp_session_foreign"
    MCP_HEADER_MISMATCH = "mcp_header_mismatch"
    HEADERS_TOO_LARGE = "headers_too_large"
    BODY_TOO_LARGE = "body_too_large"
    EGRESS_REFUSED = "egress_refused"
    CREDENTIAL_HOST_REFUSED = "credential_host_refused"
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_PROTOCOL = "upstream_protocol"
    UPSTREAM_CLOSED_EARLY = "upstream_closed_early"
    CLIENT_GONE = "client_gone"
    # Operators.
    OPERATOR_UNKNOWN = "operator_unknown"
    OPERATOR_SCOPE_MISSING = "operator_scope_missing"
    ZONE_UNKNOWN = "zone_unknown"
    ZONE_CHANGED = "zone_changed"
    ZONE_FILE_INVALID = "zone_file_invalid"
    POLICY_INVALID = "policy_invalid"
    ENTRY_UNKNOWN = "entry_unknown"
    ENTRY_TAKEN = "entry_taken"
    FEATURE_ABSENT = "feature_absent"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 (a reason code)
    RECEIPT_UNKNOWN = "receipt_unknown"
    RECEIPT_NOT_READY = "receipt_not_ready"
    RECEIPT_NOT_WITNESSED = "receipt_not_witnessed"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    IDEMPOTENCY_LIMIT = "idempotency_limit"
    IDEMPOTENCY_RESULT_INACTIVE = "idempotency_result_inactive"
    # The system itself.
    EVIDENCE_UNAVAILABLE = "evidence_unavailable"
    EVIDENCE_UNWITNESSED = "evidence_unwitnessed"
    EVIDENCE_DROPPED = "evidence_dropped"
    EVIDENCE_NOT_EXPORTED = "evidence_not_exported"
    STORE_UNAVAILABLE = "store_unavailable"
    REVOCATIONS_STALE = "revocations_stale"
    PEER_UNAVAILABLE = "peer_unavailable"
    OVERLOADED = "overloaded"
    DRAINING = "draining"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Refused:
    """No, and why.

    Attributes:
        detail: one human sentence, without secrets; it may name scopes, resources and policies.
        policies: the ids of the policies that decided, when policy did.
        asked: what was put to policy, for the evidence; `None` when policy was not asked.
        held: the scopes that the delegation or the mandate held, where they were too few.
        needed: the scope that was missing, where one more would do.
        delegations: those it went by, root first, where they are known.
    """

    reason: Reason
    detail: str = ""
    policies: tuple[str, ...] = ()
    asked: Asked | None = field(default=None, compare=False, repr=False)
    held: str = field(default="", compare=False, repr=False)
    needed: str = field(default="", compare=False, repr=False)
    delegations: tuple[str, ...] = field(default=(), compare=False, repr=False)


class Unavailable(Exception):
    """Something needed to decide or to record can not be reached; the answer is no."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
