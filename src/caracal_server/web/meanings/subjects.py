"""For whom work is done: subject tokens, and what they lead to."""

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer, Meaning, Meanings

_INVALID = Answer(401, "invalid_token")
_DENIED = Answer(403, "access_denied")


def _token(title: str, advice: str) -> Meaning:
    return Meaning(title, advice, oauth=_INVALID, coordinator=_INVALID, problem=401)


MEANINGS: Meanings = {
    Reason.SUBJECT_ISSUER_UNKNOWN: _token(
        "the zone does not trust the issuer of the subject token",
        "register the issuer under `subject_issuers` in the zone file, exactly as its `iss` spells it",
    ),
    Reason.SUBJECT_KEYS_UNAVAILABLE: _token(
        "the keys of the subject token's issuer cannot be had",
        "repeat the request later; if it goes on, check the issuer's jwks_url and the egress rules",
    ),
    Reason.SUBJECT_TOKEN_MALFORMED: _token(
        "the subject token is malformed",
        "send the ID token exactly as the issuer gave it",
    ),
    Reason.SUBJECT_TOKEN_SIGNATURE: _token(
        "the subject token's signature does not verify",
        "send an ID token of a registered issuer, signed with RS or ES 256, 384 or 512",
    ),
    Reason.SUBJECT_TOKEN_KEY_UNKNOWN: _token(
        "the subject token is signed with a key that its issuer does not publish",
        "have the user sign in again; a key that was just published counts within half a minute",
    ),
    Reason.SUBJECT_TOKEN_AUDIENCE: _token(
        "the subject token is meant for someone else",
        "compare its `aud` with the audience that the zone file registers for its issuer",
    ),
    Reason.SUBJECT_TOKEN_EXPIRED: _token(
        "the subject token has expired",
        "get a new ID token from the issuer",
    ),
    Reason.SUBJECT_TOKEN_NOT_YET_VALID: _token(
        "the subject token is not valid yet",
        "check the clocks: the issuer's and the server's differ by more than a minute",
    ),
    Reason.SUBJECT_TOKEN_REPLAYED: _token(
        "the subject token has been used before",
        "keep the mandate it was exchanged for; when that has expired, get a new ID token",
    ),
    Reason.SUBJECT_TOKEN_MISMATCH: Meaning(
        "the subject token does not support the request",
        "send the mandate of the subject that is named, got by the application that asks",
        oauth=_DENIED,
        coordinator=Answer(403, "subject_proof_required"),
        problem=403,
    ),
    Reason.SUBJECT_NAME_INVALID: _token(
        "the subject token names a user in a way that is not accepted",
        "have the issuer name users with 1 to 512 bytes of plain text",
    ),
    Reason.SUBJECT_REVOKED: _token(
        "the user's authority was revoked after the subject token was issued",
        "have the user sign in again, if that is wanted",
    ),
    Reason.RESOURCE_MANDATE_UNAVAILABLE: Meaning(
        "mandates for a resource come from the Gateway only",
        "leave subject_token out, and call the resource through the Gateway",
        oauth=_DENIED,
        coordinator=_DENIED,
        problem=403,
    ),
}
