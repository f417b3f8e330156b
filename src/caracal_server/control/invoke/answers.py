"""What a command answers: its result, or why it has none, in the words that clients know."""

from enum import Enum
from typing import Final

import msgspec

from caracal_server.web.asgi import JSON_HEADERS, Reply
from caracal_server.web.meanings import MEANINGS
from caracal_server.web.meanings.admin_answers import ADMIN_CODES
from caracal_server.web.problems import Problem


class Code(Enum):
    """A word, and the status that it has."""

    DENIED = ("denied", 403)
    INVALID = ("invalid", 400)
    UNSUPPORTED = ("unsupported", 501)
    ZONE_MISMATCH = ("zone_mismatch", 409)
    CONFLICT = ("conflict", 409)
    NOT_FOUND = ("not_found", 404)
    UPSTREAM = ("upstream", 502)
    UNAUTHORIZED = ("unauthorized", 401)
    TOKEN_REPLAY = ("token_replay", 401)
    DISABLED = ("control_disabled", 503)


_BY_STATUS: Final = {
    400: Code.INVALID,
    401: Code.UNAUTHORIZED,
    403: Code.DENIED,
    404: Code.NOT_FOUND,
    409: Code.CONFLICT,
    413: Code.INVALID,
    422: Code.INVALID,
}


class CommandRefused(Exception):
    """A command that is not carried out.

    Attributes:
        remediation: what to do about it.
    """

    def __init__(self, code: Code, reason: str, remediation: str = "") -> None:
        super().__init__(code.value[0])
        self.code, self.reason, self.remediation = code, reason, remediation


class _Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    reason: str
    remediation: str = ""


class _Refused(msgspec.Struct, frozen=True):
    error: _Fault
    ok: bool = False


def refused_by(problem: Problem) -> CommandRefused:
    """What the admin API refused, as the answer of a command."""
    meaning = MEANINGS[problem.reason]
    status, word = meaning.problem, ADMIN_CODES.get(problem.reason, str(problem.reason))
    if problem.variant is not None:
        status, word = problem.variant.value
    code = _BY_STATUS.get(status, Code.UPSTREAM)
    if word == "unsupported":
        code = Code.UNSUPPORTED
    detail = problem.detail or meaning.title
    return CommandRefused(code, f"{word}: {detail}", meaning.advice)


def refused_reply(refused: CommandRefused) -> Reply:
    word, status = refused.code.value
    body = _Refused(_Fault(word, refused.reason, refused.remediation))
    return Reply(status, JSON_HEADERS, msgspec.json.encode(body))
