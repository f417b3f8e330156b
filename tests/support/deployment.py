"""A client of a running deployment: zones, agents, their authority and their calls, over HTTP only."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from caracal.evidence.bundle import BundleReport, verify_bundle
from caracal.evidence.notes import parse_verifier_key
from tests.support.running import Running
from tests.support.upstream import RecordingUpstream

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
API = "resource://api"
READ, WRITE = "api:read", "api:write"
LEVELS = 6
PERMIT_ALL = '@id("all")\npermit (principal, action, resource);\n'

_numbers = itertools.count(1)
T = TypeVar("T")


def unique(prefix: str) -> str:
    """A name that no other test of this run has."""
    return f"{prefix}-{next(_numbers)}"


def eventually(look: Callable[[], T | None], *, seconds: float = 10.0) -> T:
    """Return what `look` finds once it finds something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


def zone_document(name: str, upstream_url: str, **more: Any) -> dict[str, Any]:
    """A zone with two applications and one resource, everything permitted; `more` replaces fields."""
    return {
        "zone": name,
        "applications": [{"name": "agent"}, {"name": "helper"}],
        "providers": [],
        "resources": [
            {
                "identifier": API,
                "upstream": upstream_url,
                "operations": {
                    "GET /{path*}": READ,
                    "HEAD /{path*}": READ,
                    "POST /{path*}": WRITE,
                    "PUT /{path*}": WRITE,
                },
            }
        ],
        "policy": PERMIT_ALL,
    } | more


@dataclass(slots=True)
class Deployment:
    """One running server, its operator, and the upstream that it may call."""

    running: Running
    upstream: RecordingUpstream
    http: httpx.Client

    @property
    def operator(self) -> Mapping[str, str]:
        return self.running.operator

    def put_zone(self, document: Mapping[str, Any], **query: Any) -> httpx.Response:
        url = f"{self.running.control}/v1/zones/{document['zone']}"
        return self.http.put(url, json=document, params=query, headers=self.operator)

    def zone(self, name: str | None = None, **more: Any) -> "Zone":
        """Make a zone of its own for a test."""
        document = zone_document(name or unique("zone"), self.upstream.url, **more)
        zone = Zone(self, document)
        zone.apply()
        return zone

    def ready(self) -> dict[str, Any]:
        return self.http.get(f"{self.running.control}/ready").json()

    def resident_bytes(self) -> int:
        """The memory that the server's process holds."""
        lines = Path(f"/proc/{self.running.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024


@dataclass(slots=True)
class Zone:
    """A zone as its operator sees it."""

    deployment: Deployment
    document: dict[str, Any]
    id: str = ""
    applications: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.document["zone"]

    def apply(self, **more: Any) -> dict[str, Any]:
        """Apply the zone's document with these fields replaced."""
        self.document |= more
        answer = self.deployment.put_zone(self.document)
        assert answer.status_code == 200, answer.text
        applied = answer.json()
        self.id = applied["zone"]["id"]
        for application in applied["applications"]:
            if application.get("secret"):
                self.applications[application["name"]] = (application["id"], application["secret"])
        return applied

    def scopes(self) -> list[str]:
        """Every scope of the zone's resource."""
        declared = self.document["resources"][0]
        kinds = ("operations", "tools", "prompts", "resources")
        return sorted({scope for kind in kinds for scope in declared.get(kind, {}).values()})

    def agent(self, name: str = "agent") -> "Agent":
        return Agent(self, *self.applications[name])

    def operate(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the Coordinator as the operator."""
        control = self.deployment.running.control
        url = f"{control}/zones/{self.id}/{path}"
        return self.deployment.http.request(method, url, headers=self.deployment.operator, **more)

    def kill(self, session: str) -> httpx.Response:
        answer = self.operate("DELETE", f"agents/{session}")
        assert answer.status_code in (200, 204), answer.text
        return answer

    def keys(self) -> list[dict[str, str]]:
        url = f"{self.deployment.running.control}/.well-known/jwks.json"
        return self.deployment.http.get(url, params={"zone_id": self.id}).json()["keys"]

    def evidence(self, **query: Any) -> list[dict[str, Any]]:
        """The entries that a search finds, newest first, all pages of it, with commitments opened."""
        url = f"{self.deployment.running.control}/v1/zones/{self.id}/evidence"
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.deployment.http.get(
                url, params={"limit": 1000, **query, **cursor}, headers=self.deployment.operator
            )
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [item["entry"] | _opened(item["openings"]) for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def entry(self, request_id: str, kind: str) -> dict[str, Any]:
        """The one entry of that kind about a request; results come a moment after their answers."""
        found = eventually(lambda: self.evidence(request=request_id, kind=kind))
        assert len(found) == 1, found
        return found[0]

    def verify_evidence(self) -> BundleReport:
        """Export the log and hold it to its proofs.

        Raises:
            BundleError: it does not verify.
        """
        url = f"{self.deployment.running.control}/v1/zones/{self.id}/evidence"
        headers = self.deployment.operator
        key = self.deployment.http.get(f"{url}/key", headers=headers).text.strip()
        bundle = self.deployment.http.get(f"{url}/export", headers=headers).content
        return verify_bundle(bundle.splitlines(keepends=True), parse_verifier_key(key))


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """One application, with its own credential and nothing else."""

    zone: Zone
    application: str
    secret: str

    def token(self, **fields: Any) -> httpx.Response:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "zone_id": self.zone.id,
            "application_id": self.application,
            "client_secret": self.secret,
        }
        given = {name: value for name, value in (form | fields).items() if value is not None}
        deployment = self.zone.deployment
        return deployment.http.post(f"{deployment.running.control}/oauth/2/token", data=given)

    def steer(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the Coordinator, with a session mandate."""
        answer = self.token(scope="agent:lifecycle", resource=self._any_resource())
        assert answer.status_code == 200, answer.text
        deployment = self.zone.deployment
        url = f"{deployment.running.control}/zones/{self.zone.id}/{path}"
        headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        return deployment.http.request(method, url, headers=headers, **more)

    def start(self, parent: str | None = None, **more: Any) -> str:
        """Start a session and return its id."""
        body: dict[str, Any] = {"application_id": self.application} | more
        if parent is not None:
            body |= {"parent_id": parent, "parent_authority": "none"}
        if body.get("lifecycle") != "service":
            body.setdefault("ttl_seconds", 3600)
        answer = self.steer("POST", "agents", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()["agent_session_id"]

    def delegate(self, source: str, target: str, receiver: "Agent", **more: Any) -> httpx.Response:
        body: dict[str, Any] = {
            "source_session_id": source,
            "target_session_id": target,
            "issuer_application_id": self.application,
            "receiver_application_id": receiver.application,
            "scopes": self.zone.scopes(),
            "constraints": {"resources": [self._any_resource()]},
        } | more
        return self.steer("POST", "delegations", json=body)

    def authority(self, **delegation: Any) -> "Authority":
        """A root session, a session under it, and a delegation from the one to the other."""
        root = self.start()
        return self.hand_on(root, self.start(root), self, **delegation)

    def hand_on(
        self, source: str, target: str, receiver: "Agent", *, level: int = 1, **more: Any
    ) -> "Authority":
        """Delegate; each level is a little shorter and has one hop fewer than the one before."""
        limits = {"resources": [self._any_resource()], "max_hops": LEVELS - level}
        asked = {"constraints": limits, "ttl_seconds": 1800 - 60 * level} | more
        answer = self.delegate(source, target, receiver, **asked)
        assert answer.status_code in (200, 201), answer.text
        return Authority(receiver, source, target, answer.json()["delegation_edge_id"], level)

    def _any_resource(self) -> str:
        return self.zone.document["resources"][0]["identifier"]


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """What an agent holds: a session, and the delegation to it."""

    agent: Agent
    root: str
    session: str
    delegation: str
    level: int = 1

    def hand_on(self, receiver: Agent, target: str | None = None, **more: Any) -> "Authority":
        """Hand on to a new session of the receiver's, or to `target`."""
        to = receiver.start() if target is None else target
        asked = {"parent_edge_id": self.delegation, "level": self.level + 1} | more
        return self.agent.hand_on(self.session, to, receiver, **asked)

    def ask(self, scope: str = READ, **more: Any) -> httpx.Response:
        """Ask for a mandate."""
        fields = {
            "scope": scope,
            "resource": self.agent._any_resource(),
            "agent_session_id": self.session,
            "delegation_edge_id": self.delegation,
        }
        return self.agent.token(**(fields | more))

    def mint(self, scope: str = READ, **more: Any) -> str:
        answer = self.ask(scope, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def headers(self, mandate: str, **more: str) -> dict[str, str]:
        resource = self.agent._any_resource()
        return {"authorization": f"Bearer {mandate}", "x-caracal-resource": resource, **more}

    def use(
        self,
        mandate: str,
        path: str,
        method: str = "GET",
        *,
        headers: Mapping[str, str] = {},
        **more: Any,
    ) -> httpx.Response:
        """Call the Gateway with a mandate that is already there."""
        deployment = self.agent.zone.deployment
        carried = {**self.headers(mandate), **headers}
        url = f"{deployment.running.gateway}{path}"
        return deployment.http.request(method, url, headers=carried, **more)

    def call(self, path: str = "/json", method: str = "GET", **more: Any) -> httpx.Response:
        """Mint, then call."""
        mandate = self.mint(READ if method in ("GET", "HEAD") else WRITE)
        return self.use(mandate, path, method, **more)

    @contextmanager
    def stream(self, path: str, **more: Any) -> Iterator[httpx.Response]:
        """Mint, then call, and read the answer as it comes."""
        deployment = self.agent.zone.deployment
        url = f"{deployment.running.gateway}{path}"
        with deployment.http.stream(
            "GET", url, headers=self.headers(self.mint()), **more
        ) as answer:
            yield answer


def reason(answer: httpx.Response) -> str:
    """The reason code of a refusal."""
    document = answer.json()
    assert "Traceback" not in answer.text
    return document.get("reason") or document.get("error")


async def gather_answers(url: str, requests: Sequence[Mapping[str, str]]) -> list[httpx.Response]:
    """GET `url` once for each set of headers, all at the same time, each on its own connection."""
    limits = httpx.Limits(max_connections=len(requests), max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=30, trust_env=False, limits=limits) as http:
        return await asyncio.gather(*(http.get(url, headers=headers) for headers in requests))


@contextmanager
def deployed(running: Running, upstream: RecordingUpstream) -> Iterator[Deployment]:
    with httpx.Client(timeout=30, trust_env=False) as http:
        yield Deployment(running, upstream, http)


def _opened(openings: dict[str, Any] | None) -> dict[str, str]:
    return {field: opening["value"] for field, opening in (openings or {}).items()}
