"""T15: kill -9 at any moment. Nothing that was acknowledged is lost, and nothing happened unrecorded."""

import asyncio
import contextlib
import random
import re
import signal
from dataclasses import dataclass, field

import httpx
import pytest

from examples.demo.upstream import RunningDatasette
from tests.support.deployment import API, Zone, deployed, eventually, unique
from tests.support.running import Running, start_caracal

SEED = 20_260_101
CLIENTS = 8
COUNTDOWN = (5, 80)
MOMENTS = ("mint", "call", "arrival", "arrival")


@dataclass(slots=True)
class Acknowledged:
    """What clients were told before their server died, by request id."""

    mints: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    refusals: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Death:
    """Comes with the n-th of some moment: at the worst time for whoever acts before it is on record."""

    running: Running
    moment: str
    countdown: int

    def at(self, moment: str) -> None:
        if moment == self.moment:
            self.countdown -= 1
            if self.countdown == 0:
                self.running.process.send_signal(signal.SIGKILL)


async def work_until_it_dies(death: Death, authority, told: Acknowledged, path):
    """Mint, call, call again and ask for too much, from many clients at once."""
    gateway = death.running.gateway

    async def client(http: httpx.AsyncClient) -> None:
        while True:
            minted = await authority_asks(http, authority)
            death.at("mint")
            told.mints.add(minted.headers["x-request-id"])
            headers = authority.headers(minted.json()["access_token"])
            called = await http.get(f"{gateway}{path()}", headers=headers)
            death.at("call")
            if called.status_code in (200, 404):
                told.calls.add(called.headers["x-request-id"])
            again = await http.get(f"{gateway}/undeclared", headers=headers)
            assert again.status_code == 401, again.text
            refused = await authority_asks(http, authority, scope="api:write")
            death.at("refusal")
            assert refused.status_code == 403, refused.text
            told.refusals.add(refused.headers["x-request-id"])

    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(timeout=10, trust_env=False, limits=limits) as http:
        async with asyncio.timeout(30):
            clients = [client(http) for _ in range(CLIENTS)]
            outcomes = await asyncio.gather(*clients, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, httpx.TransportError), outcome


async def authority_asks(http: httpx.AsyncClient, authority, **more: str) -> httpx.Response:
    agent = authority.agent
    return await http.post(
        f"{agent.zone.deployment.running.control}/oauth/2/token",
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "zone_id": agent.zone.id,
            "application_id": agent.application,
            "client_secret": agent.secret,
            "scope": "api:read",
            "resource": API,
            "agent_session_id": authority.session,
            "delegation_edge_id": authority.delegation,
        }
        | more,
    )


@contextlib.contextmanager
def mortal(data, environment):
    """A server that may be dead at the end."""
    running = start_caracal(data, environment=environment)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(10)
        running.process.stdout.close()


def recorded(zone: Zone, kind: str, verdict: str) -> dict[str, dict]:
    return {entry["request"]: entry for entry in zone.evidence(kind=kind, verdict=verdict)}


READ_ONLY = 'permit (principal, action == Action::"api:read", resource);\n'


@pytest.fixture
def dice():
    return random.Random(SEED)


def test_whatever_was_acknowledged_or_reached_the_upstream_is_on_record(tmp_path, upstream, dice):
    environment = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data, told = tmp_path / "data", Acknowledged()
    path = f"/json?{unique('death')}"
    zone: Zone | None = None
    for moment in MOMENTS:
        with mortal(data, environment) as running, deployed(running, upstream) as it:
            if zone is None:
                zone = it.zone("mortal", policy=READ_ONLY)
            zone.deployment = it
            hold_to_account(zone, told, upstream.to(path))
            work(Death(running, moment, dice.randint(*COUNTDOWN)), zone, told, lambda: path)
    with mortal(data, environment) as running, deployed(running, upstream) as it:
        zone.deployment = it
        hold_to_account(zone, told, upstream.to(path))
        assert it.ready()["ready"]
        require_a_result_of_every_call(zone)
        marked = len(marks(zone))
        assert marked > 0
    with mortal(data, environment) as running, deployed(running, upstream) as it:
        zone.deployment = it
        eventually(lambda: settled(zone))
        assert len(marks(zone)) == marked
        assert zone.agent().authority().call(path).status_code == 200
    assert min(map(len, (told.calls, told.mints, told.refusals))) > len(MOMENTS)


def require_a_result_of_every_call(zone: Zone) -> None:
    """One each: what the upstream answered, or that nobody knows."""
    eventually(lambda: settled(zone))
    allowed = recorded(zone, "call", "allow").values()
    results = [result["mandate"] for result in zone.evidence(kind="call.result")]
    assert sorted(results) == sorted(call["mandate"] for call in allowed)


def settled(zone: Zone) -> bool:
    """Whether Audit is through with every process but the one that runs."""
    system = Zone(zone.deployment, {}, id="system")
    starts = [entry["request"] for entry in system.evidence(kind="service.start")]
    return {entry["target"] for entry in system.evidence(kind="evidence.settle")} == set(starts[1:])


def marks(zone: Zone) -> list[dict]:
    results = zone.evidence(kind="call.result")
    return [one for one in results if one.get("error") == "outcome_unknown"]


def work(death: Death, zone: Zone, told: Acknowledged, path) -> None:
    authority = zone.agent().authority()
    told.sessions.add(authority.session)
    upstream = zone.deployment.upstream
    upstream.on_arrival = lambda _received: death.at("arrival")
    try:
        asyncio.run(work_until_it_dies(death, authority, told, path))
    finally:
        upstream.on_arrival = None


def hold_to_account(zone: Zone, told: Acknowledged, arrived) -> None:
    """What clients and the upstream know of is in the evidence, and the evidence proves itself."""
    allowed = recorded(zone, "call", "allow")
    assert told.calls <= allowed.keys()
    assert {seen.header("x-request-id") for seen in arrived} <= allowed.keys()
    assert told.mints <= recorded(zone, "exchange", "allow").keys()
    assert told.refusals <= recorded(zone, "exchange", "refuse").keys()
    assert told.sessions <= {entry["session"] for entry in zone.evidence(kind="session.start")}
    listed = zone.operate("GET", "agents", params={"limit": 500}).json()["items"]
    assert told.sessions <= {item["agent_session_id"] for item in listed}
    assert zone.verify_evidence().entries >= len(allowed) + len(told.mints)


def test_every_line_of_a_real_apis_own_access_log_has_its_decision(tmp_path, upstream, dice):
    shop = RunningDatasette(tmp_path / "shop", events=10)
    environment = {"CARACAL_PRIVATE_EGRESS_HOSTS": f"127.0.0.1:{upstream.port}"}
    data, told = tmp_path / "data", Acknowledged()
    numbers = iter(range(1, 1_000_000))
    with shop:
        environment["CARACAL_PRIVATE_EGRESS_HOSTS"] = shop.url.removeprefix("http://")
        resource = {
            "identifier": API,
            "upstream": shop.url,
            "provider": "shop",
            "operations": {
                "GET /shop/orders/{id}": "api:read",
                "POST /shop/orders/-/insert": "api:write",
            },
        }
        custody = {"name": "shop", "kind": "bearer_token", "secret": shop.token}
        with mortal(data, environment) as running, deployed(running, upstream) as it:
            zone = it.zone("mortal", policy=READ_ONLY, resources=[resource], providers=[custody])
            death = Death(running, "call", dice.randint(*COUNTDOWN))
            work(death, zone, told, lambda: f"/shop/orders/{next(numbers)}.json")
        with mortal(data, environment) as running, deployed(running, upstream) as it:
            zone.deployment = it
            hold_to_account(zone, told, ())
            decided = {entry["operation"] for entry in recorded(zone, "call", "allow").values()}
            hits = [line for line in shop.requests() if re.match(r"/shop/orders/\d", line.path)]
            assert len(hits) >= len(told.calls) > 0
            assert {f"{line.method} {line.path}" for line in hits} <= decided
