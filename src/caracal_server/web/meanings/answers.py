"""A status and a code: what one kind of edge answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from caracal.authority.outcomes import Reason


class Answer(NamedTuple):
    """An HTTP status and the stable word in the body that clients branch on."""

    status: int
    code: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason means to whoever is refused.

    Attributes:
        title: what happened: a short sentence without a full stop, the same every time.
        advice: what to do about it.
        oauth: the answer of the token endpoint and the Gateway.
        coordinator: the answer of the Coordinator.
        problem: the status of the problem details that Control and Audit answer.
        retry_after: seconds until asking again makes sense; 0 when time alone does not help.
    """

    title: str
    advice: str
    oauth: Answer
    coordinator: Answer
    problem: int
    retry_after: int = 0


Meanings = Mapping[Reason, Meaning]


class Variant(Enum):
    """Answers that share a reason with others; an edge names one where the plain answer is too vague."""

    UNSUPPORTED_MEDIA_TYPE = Answer(415, "invalid_token")
    INVALID_REQUEST = Answer(400, "invalid_request")
    INVALID_CLIENT = Answer(401, "invalid_client")
    INVALID_SCOPE = Answer(400, "invalid_scope")
    INVALID_TARGET = Answer(400, "invalid_target")
    INVALID_CLIENT_METADATA = Answer(400, "invalid_client_metadata")
    INVALID_REDIRECT_URI = Answer(400, "invalid_redirect_uri")
    INVALID_BODY = Answer(400, "invalid_body")
    INVALID_PARAMS = Answer(400, "invalid_params")
    INVALID_QUERY = Answer(400, "invalid_query")
    INVALID_CURSOR = Answer(400, "invalid_cursor")
    IDEMPOTENCY_KEY_MULTIPLE = Answer(400, "idempotency_key_multiple")
    IDENTITY_REVOKED = Answer(401, "identity_revoked")
    OPERATOR_TOKEN_REQUIRED = Answer(403, "operator_token_required")
    COORDINATOR_ADMIN_REQUIRED = Answer(403, "coordinator_admin_required")
    SUBJECT_RECORD_REQUIRED = Answer(400, "subject_session_id_required")
    SESSION_NOT_FOUND = Answer(404, "session_not_found")
    SESSION_NOT_FOUND_OR_NOT_ACTIVE = Answer(409, "session_not_found_or_not_active")
    SESSION_SUSPENDED = Answer(409, "session_suspended")
    INVALID_DELEGATION_CONSTRAINT = Answer(400, "invalid_delegation_constraint")
    INVALID_MAX_HOPS = Answer(400, "invalid_max_hops")
    INVALID_MAX_DEPTH = Answer(400, "invalid_max_depth")
    INVALID_RESOURCES = Answer(400, "invalid_resources")
    INVALID_BUDGET = Answer(400, "invalid_budget")
    INVALID_TTL_SECONDS = Answer(400, "invalid_ttl_seconds")
    INVALID_EXPIRES_AT = Answer(400, "invalid_expires_at")
    INVALID_POLICY_APPROVED = Answer(400, "invalid_policy_approved")
    INVALID_BROAD_REASON = Answer(400, "invalid_broad_reason")
    DELEGATION_RESOURCE_MISMATCH = Answer(400, "delegation_resource_scope_mismatch")
    NOT_FOUND = Answer(404, "not_found")
    RESOURCE_NOT_FOUND = Answer(404, "resource_not_found")
    TOOL_UNKNOWN_IN_SESSION = Answer(400, "tool_unknown")
    MCP_METHOD_NOT_FOUND = Answer(404, "method_not_found")
    BODY_LATE = Answer(408, "request_timeout")
    METHOD_NOT_ALLOWED = Answer(405, "method_not_allowed")
