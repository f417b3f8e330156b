"""What follows what, without sending anything: a flow yields steps, and gets back what came of them.

The engines run the same flows with threads and with asyncio. What a flow returns or raises is the result.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from caracal.sdk import surroundings
from caracal.sdk.configuration import Configuration
from caracal.tokens.secret import Secret
from caracal.wire.calls.messages import Request, bearer, path
from caracal.wire.calls.refusals import Answer, InvalidRequest, Unreachable
from caracal.wire.calls.tokens import (
    SESSION_MANDATE,
    Application,
    read_mandate,
    session_mandate_request,
)
from caracal.wire.trace_context import TraceContext

T = TypeVar("T")

ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0
"""Seconds. An answer that asks for a longer pause is passed on: it is for the caller to wait so long."""
_MARGIN: Final = 60.0
_MAX_RESOURCES: Final = 64
_UNAUTHORIZED: Final = 401
_THROTTLED: Final = 429
_FAULTS: Final = 500


@dataclass(frozen=True, slots=True)
class Send:
    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer came; `sent` when the request may have arrived."""

    sent: bool
    problem: str


Step: TypeAlias = Send | Pause
Reply: TypeAlias = Answer | Failed | None
Flow: TypeAlias = Generator[Step, Reply, T]


@dataclass(slots=True)
class Caller:
    """The application, its addresses, and the session mandate that it holds at the moment.

    Two threads may both find it expired, and both get a new one: either is as good.
    """

    configuration: Configuration
    application: Application = field(init=False)
    sessions_url: str = field(init=False)
    delegations_url: str = field(init=False)
    _known: dict[str, None] = field(init=False, repr=False)
    _held: tuple[Secret, float] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        given = self.configuration
        self.application = Application(
            given.sts_url, given.zone_id, given.application_id, given.client_secret
        )
        self.sessions_url = given.coordinator_url + path("zones", given.zone_id, "agents")
        self.delegations_url = given.coordinator_url + path("zones", given.zone_id, "delegations")
        self._known = dict.fromkeys((*given.resources, *given.prefixes))

    def work_with(self, *resources: str) -> None:
        """Remember resources: a session mandate can only be had by naming at least one of the zone's."""
        self._known = dict.fromkeys([*self._known, *resources][:_MAX_RESOURCES])

    def session_mandate(self) -> Flow[tuple[Secret, bool]]:
        """A session mandate, and whether it was held already.

        Raises:
            InvalidRequest: no resource is known yet.
            CaracalError: there is none to be had.
        """
        held, now = self._held, surroundings.monotonic()
        if held is not None and now < held[1]:
            return held[0], True
        if not self._known:
            raise InvalidRequest(
                SESSION_MANDATE,
                "no resource of the zone is known",
                code="resource_missing",
                fix="set CARACAL_APP_RESOURCES, `resources` of the configuration, or name one here",
            )
        request = session_mandate_request(self.application, self._known)
        mandate = read_mandate((yield from answered(request)), SESSION_MANDATE)
        life = mandate.lifetime.total_seconds()
        self._held = (mandate.token, now + life - min(_MARGIN, life / 2))
        return mandate.token, False

    def steered(self, request: Request, trace: TraceContext) -> Flow[Answer]:
        """The Coordinator's answer. A mandate that it no longer takes is replaced, once."""
        request = request.carrying(trace.headers(surroundings.random_bytes))
        token, kept = yield from self.session_mandate()
        answer = yield from answered(request.carrying([bearer(token)]))
        if answer.status == _UNAUTHORIZED and kept:
            self._held = None
            token, _ = yield from self.session_mandate()
            answer = yield from answered(request.carrying([bearer(token)]))
        return answer


def answered(request: Request) -> Flow[Answer]:
    """The answer to a request, which is sent again only where that acts once.

    Raises:
        Unreachable: none came.
    """
    pause = FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        reply = yield Send(request)
        if isinstance(reply, Answer):
            wait = reply.retry_after
            if attempt == ATTEMPTS or not request.repeatable or not _passing(reply):
                return reply
        elif isinstance(reply, Failed):
            wait = None
            if attempt == ATTEMPTS or (reply.sent and not request.repeatable):
                raise Unreachable(request.what, reply.problem, sent=reply.sent)
        else:
            raise TypeError("what was sent is answered, or fails")
        # Half of it at random, so that those who failed together do not come back together.
        yield Pause(max(wait or 0, pause * (0.5 + surroundings.jitter())))
        pause *= 2
    raise AssertionError("the last attempt returns or raises")


def _passing(answer: Answer) -> bool:
    """Whether it says no for now, and for not too long."""
    wait = answer.retry_after
    if wait is not None and wait > LONGEST_PAUSE:
        return False
    return answer.status >= _FAULTS or (answer.status == _THROTTLED and wait is not None)
