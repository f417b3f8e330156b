"""Operators, and the state of the system itself."""

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer, Meaning, Meanings

_UNAVAILABLE = Answer(503, "sts_unavailable")
_SERVICE_UNAVAILABLE = Answer(503, "service_unavailable")
_INVALID_REQUEST = Answer(400, "invalid_request")

MEANINGS: Meanings = {
    Reason.OPERATOR_UNKNOWN: Meaning(
        "the operator token is missing, unknown or expired",
        "send a valid operator token: one Authorization header, `Bearer` and the token",
        oauth=Answer(401, "invalid_token"),
        coordinator=Answer(401, "invalid_token"),
        problem=401,
    ),
    Reason.OPERATOR_SCOPE_MISSING: Meaning(
        "the operator token lacks the scope for this",
        "use a token that has the scope which the description names",
        oauth=Answer(403, "access_denied"),
        coordinator=Answer(403, "missing_scope"),
        problem=403,
    ),
    Reason.ZONE_UNKNOWN: Meaning(
        "there is no such zone",
        "check the zone id that the request names",
        oauth=Answer(404, "resource_not_found"),
        coordinator=Answer(404, "zone_not_found"),
        problem=404,
    ),
    Reason.ZONE_CHANGED: Meaning(
        "the zone was changed meanwhile, or is being changed",
        "look at what changed, then apply again",
        oauth=Answer(409, "access_denied"),
        coordinator=Answer(409, "zone_changed"),
        problem=409,
    ),
    Reason.ZONE_FILE_INVALID: Meaning(
        "the zone file is not valid",
        "correct what the description names; editors check the file against its schema",
        oauth=_INVALID_REQUEST,
        coordinator=_INVALID_REQUEST,
        problem=422,
    ),
    Reason.POLICY_INVALID: Meaning(
        "the policy is not valid",
        "correct the line and column that the description names",
        oauth=_INVALID_REQUEST,
        coordinator=_INVALID_REQUEST,
        problem=422,
    ),
    Reason.SECRET_UNREADABLE: Meaning(
        "a secret that the zone file refers to cannot be read",
        "check that the file or variable exists where `caracal apply` runs",
        oauth=_INVALID_REQUEST,
        coordinator=_INVALID_REQUEST,
        problem=422,
    ),
    Reason.RECEIPT_UNKNOWN: Meaning(
        "there is no such receipt",
        "fetch it with the whole of what an answer's Caracal-Receipt said, from the same deployment",
        oauth=Answer(404, "resource_not_found"),
        coordinator=Answer(404, "resource_not_found"),
        problem=404,
    ),
    Reason.RECEIPT_NOT_READY: Meaning(
        "the receipt is not ready yet",
        "repeat the request after Retry-After; if it goes on, look at the readiness of Audit",
        oauth=_UNAVAILABLE,
        coordinator=_SERVICE_UNAVAILABLE,
        problem=503,
        retry_after=1,
    ),
    Reason.IDEMPOTENCY_CONFLICT: Meaning(
        "the idempotency key was used with another request",
        "use a new key for a new request",
        oauth=Answer(409, "access_denied"),
        coordinator=Answer(409, "idempotency_key_conflict"),
        problem=409,
    ),
    Reason.IDEMPOTENCY_KEY_INVALID: Meaning(
        "the idempotency key is not valid",
        "send one key of 1 to 255 bytes without control characters or surrounding spaces",
        oauth=_INVALID_REQUEST,
        coordinator=Answer(400, "idempotency_key_invalid"),
        problem=400,
    ),
    Reason.IDEMPOTENCY_LIMIT: Meaning(
        "too many idempotency keys are remembered",
        "wait until older keys expire, or send requests without a key",
        oauth=Answer(429, "access_denied"),
        coordinator=Answer(429, "idempotency_receipt_limit_exceeded"),
        problem=429,
        retry_after=60,
    ),
    Reason.IDEMPOTENCY_RESULT_INACTIVE: Meaning(
        "what was made with this key has ended since",
        "use a new key to make a new one",
        oauth=Answer(409, "access_denied"),
        coordinator=Answer(409, "idempotency_result_inactive"),
        problem=409,
    ),
    Reason.EVIDENCE_UNAVAILABLE: Meaning(
        "evidence cannot be recorded, so nothing may happen",
        "repeat the request later; if it goes on, look at the readiness of the Audit service",
        oauth=_UNAVAILABLE,
        coordinator=Answer(503, "audit_unavailable"),
        problem=503,
        retry_after=1,
    ),
    Reason.STORE_UNAVAILABLE: Meaning(
        "the store cannot be reached, or something changed meanwhile",
        "repeat the request later; if it goes on, look at the database",
        oauth=_UNAVAILABLE,
        coordinator=_SERVICE_UNAVAILABLE,
        problem=503,
        retry_after=1,
    ),
    Reason.REVOCATIONS_STALE: Meaning(
        "it is not known what has been revoked, so nothing may pass",
        "repeat the request later; if it goes on, look at the connection to the Coordinator",
        oauth=_UNAVAILABLE,
        coordinator=_SERVICE_UNAVAILABLE,
        problem=503,
        retry_after=1,
    ),
    Reason.PEER_UNAVAILABLE: Meaning(
        "another service that is needed for this cannot be reached",
        "repeat the request later; if it goes on, look at the readiness of the services",
        oauth=_UNAVAILABLE,
        coordinator=_SERVICE_UNAVAILABLE,
        problem=503,
        retry_after=1,
    ),
    Reason.OVERLOADED: Meaning(
        "there is more to do than can be done at once",
        "repeat the request after Retry-After, with growing pauses",
        oauth=_UNAVAILABLE,
        coordinator=_SERVICE_UNAVAILABLE,
        problem=503,
        retry_after=1,
    ),
    Reason.DRAINING: Meaning(
        "the server is shutting down",
        "repeat the request; another server, or this one restarted, will answer",
        oauth=_UNAVAILABLE,
        coordinator=_SERVICE_UNAVAILABLE,
        problem=503,
        retry_after=1,
    ),
    Reason.INTERNAL: Meaning(
        "something went wrong inside",
        "report the request id to whoever runs this server; its log says more",
        oauth=Answer(500, "internal_error"),
        coordinator=Answer(500, "internal_error"),
        problem=500,
    ),
}
