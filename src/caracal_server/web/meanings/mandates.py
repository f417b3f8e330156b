"""Policy, and the mandates that are presented."""

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer, Meaning, Meanings

_DENIED = Answer(403, "access_denied")
_INVALID = Answer(401, "invalid_token")
_ANEW = "get a new mandate from the STS and send it unchanged"

MEANINGS: Meanings = {
    Reason.POLICY_NONE_ACTIVE: Meaning(
        "the zone has no active policy, so nothing is permitted",
        "have an operator apply a zone file with a policy",
        oauth=_DENIED,
        coordinator=_DENIED,
        problem=403,
    ),
    Reason.POLICY_NO_PERMIT: Meaning(
        "no policy permits this",
        "ask for less, or have an operator add a permit for it",
        oauth=_DENIED,
        coordinator=_DENIED,
        problem=403,
    ),
    Reason.POLICY_FORBID: Meaning(
        "a policy forbids this",
        "the description names the policy; a forbid wins over every permit",
        oauth=_DENIED,
        coordinator=_DENIED,
        problem=403,
    ),
    Reason.POLICY_ERROR: Meaning(
        "a policy could not be evaluated, so nothing is permitted",
        "have an operator correct the policy that the description names",
        oauth=Answer(403, "policy_eval_failed"),
        coordinator=Answer(403, "policy_eval_failed"),
        problem=403,
    ),
    Reason.MANDATE_MISSING: Meaning(
        "no mandate was sent",
        "send one Authorization header: `Bearer` and the mandate",
        oauth=_INVALID,
        coordinator=Answer(401, "missing_token"),
        problem=401,
    ),
    Reason.MANDATE_MALFORMED: Meaning(
        "what was sent is not a mandate",
        _ANEW,
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_TOO_LARGE: Meaning(
        "the mandate is too large",
        "name fewer resources, or shorten the chain of delegations",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_SIGNATURE: Meaning(
        "the mandate's signature does not verify",
        _ANEW,
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_KEY_UNKNOWN: Meaning(
        "the mandate is signed with a key that this zone does not use",
        "get a new mandate; the zone's key has been replaced, or the mandate is of another zone",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_EXPIRED: Meaning(
        "the mandate has expired",
        "get a new mandate from the STS",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_EXPIRING: Meaning(
        "the mandate is about to expire",
        "get a new mandate; one for a call needs more than 35 s of life",
        oauth=Answer(401, "credential_expired_not_renewable"),
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_NOT_YET_VALID: Meaning(
        "the mandate is dated in the future",
        "set the clocks of the servers right",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_ISSUER: Meaning(
        "the mandate is from another issuer",
        "get the mandate from this deployment's STS",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_AUDIENCE: Meaning(
        "the mandate is meant for another audience",
        "get a mandate for the service that it is sent to",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_ZONE: Meaning(
        "the mandate is of another zone",
        "use a mandate of the zone that is addressed",
        oauth=_INVALID,
        coordinator=Answer(403, "zone_mismatch"),
        problem=403,
    ),
    Reason.MANDATE_CLASS: Meaning(
        "the mandate is of the wrong class",
        "sessions are steered with a session mandate, and calls made with a gateway mandate",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_REPLAYED: Meaning(
        "the mandate has already been used",
        "get a new mandate for every call; if you did, somebody else has used this one",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_PREDATES_START: Meaning(
        "the mandate is older than the Gateway's memory of used ones",
        "get a new mandate and repeat the call",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.MANDATE_REVOKED: Meaning(
        "the authority behind the mandate has been revoked",
        "stop; new authority takes a new session or a new delegation",
        oauth=_INVALID,
        coordinator=Answer(401, "identity_revoked"),
        problem=401,
    ),
    Reason.NARROWING_BROKEN: Meaning(
        "a link does not follow what comes before it",
        "send the mandate and all its links, each once, in the order in which they were signed",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.NARROWING_WIDENS: Meaning(
        "a link states more than what comes before it",
        "narrow it: scopes, resources and end within those of the one before",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.NARROWING_TOO_DEEP: Meaning(
        "the mandate was handed on more often than it may be",
        "hand it on less often, or have the delegation made with more `max_hops`",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.NARROWING_UNFINISHED: Meaning(
        "the mandate is bound to the key of a holder and was not closed with it",
        "close it for this call with the key, and send it with all its links",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
    Reason.NARROWING_NOT_ACCEPTED: Meaning(
        "the server takes no mandates that holders narrowed",
        "send a mandate as it was issued, or have the server accept narrowed ones",
        oauth=_INVALID,
        coordinator=_INVALID,
        problem=401,
    ),
}
