"""Who asks, and what is asked of the STS."""

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer, Meaning, Meanings

_UNAUTHENTICATED = Answer(401, "access_denied")
_DENIED = Answer(403, "access_denied")
_MALFORMED = Answer(400, "invalid_token")
_INVALID_BODY = Answer(400, "invalid_body")
_INVALID_TOKEN = Answer(401, "invalid_token")

MEANINGS: Meanings = {
    Reason.CLIENT_UNKNOWN: Meaning(
        "the application is not registered",
        "check the application id; `caracal apply` prints the ids of a zone's applications",
        oauth=_UNAUTHENTICATED,
        coordinator=Answer(404, "application_not_found"),
        problem=404,
    ),
    Reason.CLIENT_SECRET_WRONG: Meaning(
        "the application's secret is not the right one",
        "check the secret; if it is lost, have an operator make a new one",
        oauth=_UNAUTHENTICATED,
        coordinator=_INVALID_TOKEN,
        problem=401,
    ),
    Reason.CLIENT_ZONE_MISMATCH: Meaning(
        "the application belongs to another zone",
        "send the zone id that the application is registered in",
        oauth=Answer(403, "zone_invalid"),
        coordinator=Answer(403, "zone_mismatch"),
        problem=403,
    ),
    Reason.CLIENT_THROTTLED: Meaning(
        "too many failed attempts for this application",
        "wait as long as Retry-After says, and correct the secret before trying again",
        oauth=Answer(429, "provider_rate_limited"),
        coordinator=Answer(429, "rate_limited"),
        problem=429,
        retry_after=60,
    ),
    Reason.CLIENT_ASSERTION_INVALID: Meaning(
        "the client's signed assertion does not prove it",
        "sign with a key that the zone file lists, for the authorization server's issuer alone, with "
        "iss and sub the client id, iat, a jti, and five minutes to live at most",
        oauth=Answer(401, "invalid_client"),
        coordinator=_INVALID_TOKEN,
        problem=401,
    ),
    Reason.CLIENT_ASSERTION_REPLAYED: Meaning(
        "the client's signed assertion has been used before",
        "sign a new one, with another jti, for every request",
        oauth=Answer(401, "invalid_client"),
        coordinator=_INVALID_TOKEN,
        problem=401,
    ),
    Reason.AUTHORIZATION_CODE_INVALID: Meaning(
        "the authorization code is not good for this",
        "send the person through the authorization endpoint again; a code works once, within a minute, "
        "for the client, redirect_uri, resource and code_verifier it was made for",
        oauth=Answer(400, "invalid_grant"),
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.REDIRECT_MISMATCH: Meaning(
        "the client or its redirect_uri is not registered",
        "compare client_id and redirect_uri with the application's redirect_uris in the zone file; every "
        "character counts, but for the port of a loopback address",
        oauth=Answer(400, "invalid_request"),
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.REGISTRATION_REFUSED: Meaning(
        "the client can not register itself so",
        "have the client put into the zone file, or correct what the description names",
        oauth=Answer(403, "access_denied"),
        coordinator=_INVALID_BODY,
        problem=403,
    ),
    Reason.SIGN_IN_FAILED: Meaning(
        "the person did not get signed in",
        "begin anew at the client; if it goes on, have an operator look at the zone's subject issuer",
        oauth=Answer(400, "access_denied"),
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.GRANT_TYPE_UNSUPPORTED: Meaning(
        "this grant type is not offered here",
        "use one that the authorization server's metadata lists",
        oauth=Answer(400, "unsupported_grant_type"),
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.SUBJECT_TOKEN_UNSUPPORTED: Meaning(
        "subject tokens of this kind are not accepted",
        "leave subject_token, actor_token and client_assertion out; send client_secret",
        oauth=_MALFORMED,
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.APPROVAL_UNKNOWN: Meaning(
        "there is no such approval",
        "leave approval_id out and ask again; the answer says whether an approval is needed",
        oauth=_UNAUTHENTICATED,
        coordinator=Answer(404, "approval_not_found"),
        problem=404,
    ),
    Reason.REQUEST_MALFORMED: Meaning(
        "the request is malformed",
        "correct what the description names and send the request again",
        oauth=_MALFORMED,
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.RESOURCE_UNKNOWN: Meaning(
        "the zone has no such resource",
        "compare the identifier with the resources in the zone file; every character counts",
        oauth=_DENIED,
        coordinator=Answer(404, "resource_not_found"),
        problem=404,
    ),
    Reason.RESOURCE_MISSING: Meaning(
        "no resource was named",
        "name at least one resource",
        oauth=_MALFORMED,
        coordinator=_INVALID_BODY,
        problem=400,
    ),
    Reason.SCOPE_UNKNOWN: Meaning(
        "the resource does not declare one of the scopes",
        "ask only for scopes that the resource declares in the zone file",
        oauth=_DENIED,
        coordinator=Answer(403, "delegation_scopes_exceed_resource"),
        problem=400,
    ),
    Reason.SCOPE_MISSING: Meaning(
        "a needed scope is missing",
        "ask for a mandate that carries the scope the description names",
        oauth=_DENIED,
        coordinator=Answer(403, "missing_scope"),
        problem=403,
    ),
    Reason.LIFETIME_TOO_LONG: Meaning(
        "the lifetime asked for is too long",
        "ask for at most the number of seconds that the description names",
        oauth=_MALFORMED,
        coordinator=_INVALID_BODY,
        problem=400,
    ),
}
