"""What operators and monitors see of the witnesses."""

from collections.abc import Iterable

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.audit.logs import Logs
from caracal_server.audit.witnessing import Witnessing
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import Authenticate
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.routes import Route, json_response


class WitnessView(msgspec.Struct, frozen=True):
    """One witness and one log; `problem` and `finding` are empty when there is none."""

    name: str
    key: str
    size: int
    problem: str
    finding: str


class WitnessedLogView(msgspec.Struct, frozen=True):
    """One log: how much of it a quorum cosigned, and how many seconds ago; `age` is null when never."""

    zone: str
    origin: str
    size: int
    witnessed_size: int
    age: int | None
    stale: bool
    witnesses: tuple[WitnessView, ...]


class WitnessesView(msgspec.Struct, frozen=True):
    """`mode` is `none` where there is no policy, else `report` or `require`."""

    mode: str
    stale_seconds: int
    logs: tuple[WitnessedLogView, ...]


class WitnessApi:
    """The handler; `routes` is the table."""

    def __init__(
        self, witnessing: Witnessing | None, logs: Logs, authenticate: Authenticate
    ) -> None:
        self._witnessing = witnessing
        self._logs = logs
        self._authenticate = authenticate

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/v1/evidence/witnesses", self.witnesses),)

    async def witnesses(self, request: Request) -> Response:
        """How old each log's quorum is, and what each witness said."""
        operator = await self._authenticate(request, OperatorScope.READ)
        if isinstance(operator, Refused):
            raise RequestRefused(Problem.of(operator))
        return json_response(_view(self._witnessing, self._logs))


class WitnessMetrics(Collector):
    """The age of each log's quorum, and how often each witness did not cosign."""

    def __init__(self, witnessing: Witnessing) -> None:
        self._witnessing = witnessing

    def collect(self) -> Iterable[Metric]:
        age = GaugeMetricFamily(
            "caracal_evidence_quorum_age_seconds",
            "Since a quorum of witnesses cosigned a log; since it could have, where none did.",
            labels=["zone"],
        )
        now = self._witnessing.now()
        for zone_id, standing in self._witnessing.standings.items():
            age.add_metric([zone_id], standing.age(now))
        failures = CounterMetricFamily(
            "caracal_evidence_witness_failures",
            "Submissions that a witness did not cosign.",
            labels=["witness"],
        )
        for name, count in self._witnessing.failures.items():
            failures.add_metric([name], count)
        return (age, failures)


def _view(witnessing: Witnessing | None, logs: Logs) -> WitnessesView:
    if witnessing is None:
        return WitnessesView("none", 0, ())
    settings, now = witnessing.settings, witnessing.now()
    keys = {one.name: one.key.render() for one in settings.policy.witnesses}
    shown = tuple(
        WitnessedLogView(
            zone=zone_id,
            origin=logs.origin(zone_id),
            size=standing.newest.size,
            witnessed_size=0 if standing.witnessed is None else standing.witnessed.size,
            age=None if standing.at is None else round(standing.age(now)),
            stale=witnessing.stale(zone_id),
            witnesses=tuple(
                WitnessView(name, keys[name], one.signed[0], one.problem, one.finding)
                for name, one in standing.witnesses.items()
            ),
        )
        for zone_id, standing in witnessing.standings.items()
    )
    mode = "require" if settings.required else "report"
    return WitnessesView(mode, int(settings.stale.total_seconds()), shown)
