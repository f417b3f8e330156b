"""The answers of the admin API that stock clients branch on."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer


class AdminAnswer(Enum):
    """What one thing of the admin API answers, where the reason alone is too vague."""

    NO_FIELDS = Answer(400, "no_fields")
    INVALID_BODY = Answer(400, "invalid_body")
    UNSUPPORTED = Answer(400, "unsupported")
    INVALID_ZONE = Answer(400, "invalid_zone")
    ZONE_NOT_FOUND = Answer(404, "zone_not_found")
    ZONE_SLUG_CONFLICT = Answer(409, "zone_slug_conflict")
    INVALID_APPLICATION = Answer(400, "invalid_application")
    APPLICATION_NOT_FOUND = Answer(404, "application_not_found")
    APPLICATION_NAME_TAKEN = Answer(409, "application_name_taken")
    CLIENT_SECRET_NOT_STORED = Answer(404, "client_secret_not_stored")
    INVALID_PROVIDER = Answer(400, "invalid_provider")
    INVALID_PROVIDER_IDENTIFIER = Answer(400, "invalid_provider_identifier")
    INVALID_PROVIDER_CONFIG = Answer(400, "invalid_provider_config")
    PROVIDER_CONFIG_REQUIRED = Answer(400, "provider_config_required")
    PROVIDER_NOT_FOUND = Answer(404, "provider_not_found")
    PROVIDER_UNKNOWN = Answer(400, "provider_not_found")
    PROVIDER_IDENTIFIER_CONFLICT = Answer(409, "provider_identifier_conflict")
    INVALID_RESOURCE = Answer(400, "invalid_resource")
    INVALID_RESOURCE_IDENTIFIER = Answer(400, "invalid_resource_identifier")
    UPSTREAM_URL_REQUIRED = Answer(400, "upstream_url_required")
    OPERATION_SCOPE_UNKNOWN = Answer(400, "operation_scope_not_in_resource_scopes")
    RESOURCE_NOT_FOUND = Answer(404, "resource_not_found")
    RESOURCE_IDENTIFIER_CONFLICT = Answer(409, "resource_identifier_conflict")
    INVALID_SUBJECT_ISSUER = Answer(400, "invalid_subject_issuer")
    SUBJECT_ISSUER_NOT_FOUND = Answer(404, "subject_issuer_not_found")
    SUBJECT_ISSUER_EXISTS = Answer(409, "subject_issuer_exists")
    POLICY_NOT_FOUND = Answer(404, "policy_not_found")
    POLICY_NAME_CONFLICT = Answer(409, "policy_name_conflict")
    RESERVED_NAMESPACE = Answer(409, "reserved_namespace")
    INVALID_REGO = Answer(422, "invalid_rego")
    POLICY_SET_NOT_FOUND = Answer(404, "policy_set_not_found")
    POLICY_SET_NAME_CONFLICT = Answer(409, "policy_set_name_conflict")
    VERSION_NOT_FOUND = Answer(404, "version_not_found")
    REFERENCED_VERSION_MISSING = Answer(409, "referenced_policy_version_missing")
    INVALID_POLICY_BUNDLE = Answer(422, "invalid_policy_bundle")
    GRANT_NOT_FOUND = Answer(404, "grant_not_found")
    SUBJECT_NOT_FOUND = Answer(404, "subject_not_found")
    REQUEST_NOT_FOUND = Answer(404, "request_not_found")


ADMIN_CODES: Final[Mapping[Reason, str]] = {
    Reason.OPERATOR_UNKNOWN: "invalid_admin_token",
    Reason.OPERATOR_SCOPE_MISSING: "admin_token_read_only",
    Reason.CONTROL_KEY_ZONE: "admin_token_zone_mismatch",
    Reason.BODY_TOO_LARGE: "content_too_large",
    Reason.POLICY_INVALID: "invalid_policy_bundle",
    Reason.INTERNAL: "internal_error",
}
"""The word for a reason where the Coordinator's is another."""
