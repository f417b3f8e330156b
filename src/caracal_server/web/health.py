"""Whether a process lives, whether it is ready to serve, and what it counts."""

from collections.abc import Callable, Mapping

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from caracal_server.web.asgi import JSON_HEADERS, NO_STORE, Reply
from caracal_server.web.routes import Route, reply_response

Check = Callable[[], str | None]
"""Says what is wrong, or `None`. It reads what is known and never waits."""

LIVE = Reply(200, (NO_STORE,))

_encode = msgspec.json.Encoder().encode


class Failing(msgspec.Struct, frozen=True):
    """A check that fails, and what it says."""

    check: str
    detail: str


class ReadinessReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `/ready` answers; `ok` and `ready` say the same, as stock clients expect.

    Attributes:
        behind: what others wait for and this process can serve without.
    """

    ok: bool
    ready: bool
    failing: tuple[Failing, ...]
    behind: tuple[Failing, ...] = ()


class Readiness:
    """Ready when every named check is; a check that raises fails."""

    def __init__(
        self, checks: Mapping[str, Check], notices: Mapping[str, Check] | None = None
    ) -> None:
        """Take the checks; what is added to the mappings later is asked as well.

        Args:
            checks: each has to pass.
            notices: those that fail are reported and make nothing unready.
        """
        self._checks = checks
        self._notices = {} if notices is None else notices

    def report(self) -> ReadinessReport:
        failing, behind = _failing(self._checks), _failing(self._notices)
        return ReadinessReport(ok=not failing, ready=not failing, failing=failing, behind=behind)

    def reply(self) -> Reply:
        """Answer 200 when ready, else 503; both with the report."""
        report = self.report()
        return Reply(200 if report.ok else 503, JSON_HEADERS, _encode(report))


def metrics_reply(registry: CollectorRegistry) -> Reply:
    """Answer with every metric in Prometheus's text format."""
    content_type = (b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode())
    return Reply(200, (content_type, NO_STORE), generate_latest(registry))


def health_routes(readiness: Readiness, registry: CollectorRegistry) -> tuple[Route, ...]:
    """`/health`, `/ready` and `/metrics`, open to whoever reaches the listener."""

    async def live(_request: Request) -> Response:
        return reply_response(LIVE)

    async def ready(_request: Request) -> Response:
        return reply_response(readiness.reply())

    async def metrics(_request: Request) -> Response:
        return reply_response(metrics_reply(registry))

    return (
        Route("GET", "/health", live, bounded=False),
        Route("GET", "/ready", ready, bounded=False),
        Route("GET", "/metrics", metrics, bounded=False),
    )


def _failing(checks: Mapping[str, Check]) -> tuple[Failing, ...]:
    asked = ((name, _ask(check)) for name, check in checks.items())
    return tuple(Failing(name, wrong) for name, wrong in asked if wrong is not None)


def _ask(check: Check) -> str | None:
    try:
        return check()
    except Exception as fault:  # noqa: BLE001 (whatever is wrong with a check, it does not pass)
        return f"the check itself failed: {type(fault).__name__}"
