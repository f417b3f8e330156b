"""Control keys: applications that operate their own zone."""

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer, Meaning, Meanings

_DENIED = Answer(403, "access_denied")


def _denied(title: str, advice: str) -> Meaning:
    return Meaning(title, advice, oauth=_DENIED, coordinator=_DENIED, problem=403)


MEANINGS: Meanings = {
    Reason.CONTROL_KEY_REQUIRED: _denied(
        "only control keys get mandates for the control side",
        "give the application the trait `control:invoke`, and the scopes it needs, in the zone file",
    ),
    Reason.CONTROL_KEY_EXPIRED: _denied(
        "the control key has expired",
        "have an operator change the trait `control:expires:` of the application",
    ),
    Reason.CONTROL_SCOPE_EXCEEDED: _denied(
        "the control key does not have one of the scopes",
        "ask only for what its traits `control:scope:` name",
    ),
    Reason.CONTROL_KEY_ZONE: _denied(
        "a control key operates its own zone only",
        "name the zone that the application is registered in; the rest is for operators",
    ),
    Reason.CONTROL_KEY_PROTECTED: _denied(
        "a control key can not change control keys, itself included",
        "leave applications with `control:` traits as they are, or have an operator change them",
    ),
}
