"""Approvals, as clients that could be made to wait for one ask about them.

No exchange waits for a person here, so no approval exists and whoever asks about one is told so at once.
"""

from typing import Final

from caracal.authority.outcomes import Reason, Refused
from caracal_server.web.asgi import Scope
from caracal_server.web.bearer import bearer_token
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, RequestRefused, other_method

APPROVALS: Final = "/approvals/"

_DECISION: Final = "/decision"
_UNKNOWN: Final = Problem(
    Reason.APPROVAL_UNKNOWN, "there is no such approval", Variant.RESOURCE_NOT_FOUND
)


def refuse_approval(scope: Scope) -> RequestRefused:
    """Why there is no answer to `GET /approvals/{id}` and `POST /approvals/{id}/decision`."""
    if scope["method"] in {"GET", "HEAD"}:
        return RequestRefused(_UNKNOWN)
    if scope["method"] != "POST" or not scope["path"].endswith(_DECISION):
        return RequestRefused(other_method("GET, HEAD"))
    token = bearer_token(scope["headers"])
    return RequestRefused(Problem.of(token) if isinstance(token, Refused) else _UNKNOWN)
