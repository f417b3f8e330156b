"""What the benchmarks need of Caracal's API: a zone, sessions, delegations, and ready request bytes."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from bench.load import Connection
from bench.processes import Caracal

RESOURCE = "resource://bench"
SERVER = "resource://bench-mcp"
POLICY = """
@id("read") permit (principal, action == Action::"rows:read", resource);
"""


@dataclass(frozen=True, slots=True)
class Worker:
    """One session that may read, and the form that mints for it."""

    form: dict[str, str]


class Client:
    """Sets a deployment up over its public API."""

    def __init__(self, caracal: Caracal, upstream: str) -> None:
        self._caracal = caracal
        self._http = httpx.Client(trust_env=False, timeout=30)
        document = {
            "zone": "bench",
            "applications": [{"name": "load"}],
            "providers": [
                {"name": "upstream", "kind": "bearer_token", "secret": "bench-upstream-token"}
            ],
            "resources": [
                {
                    "identifier": RESOURCE,
                    "name": "bench",
                    "upstream": upstream,
                    "provider": "upstream",
                    "operations": {"GET /rows/{id}": "rows:read"},
                },
                {
                    "identifier": SERVER,
                    "kind": "mcp",
                    "upstream": f"{upstream}/mcp",
                    "provider": "upstream",
                    "tools": {"find": "rows:read"},
                },
            ],
            "policy": POLICY,
        }
        answer = self._http.put(
            f"{caracal.control}/v1/zones/bench",
            json=document,
            headers={"authorization": f"Bearer {caracal.token}"},
        )
        answer.raise_for_status()
        applied = answer.json()
        self.zone = applied["zone"]["id"]
        self.application = applied["applications"][0]

    def _form(self, **more: str) -> dict[str, str]:
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "zone_id": self.zone,
            "application_id": self.application["id"],
            "client_secret": self.application["secret"],
            "resource": RESOURCE,
        } | more

    def lifecycle_mandate(self) -> str:
        answer = self._http.post(
            f"{self._caracal.control}/oauth/2/token", data=self._form(scope="agent:lifecycle")
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def worker(self, resource: str = RESOURCE) -> Worker:
        """Two sessions and a delegation between them."""
        mandate = self.lifecycle_mandate()
        source, target = (self._post("agents", mandate, self.start_body()) for _ in range(2))
        delegation = self._post(
            "delegations",
            mandate,
            {
                "source_session_id": source["agent_session_id"],
                "target_session_id": target["agent_session_id"],
                "issuer_application_id": self.application["id"],
                "receiver_application_id": self.application["id"],
                "scopes": ["rows:read"],
                "constraints": {"resources": [resource]},
                "ttl_seconds": 3600,
            },
        )
        return Worker(
            self._form(
                scope="rows:read",
                resource=resource,
                agent_session_id=target["agent_session_id"],
                delegation_edge_id=delegation["delegation_edge_id"],
            )
        )

    def start_body(self) -> dict[str, Any]:
        return {"application_id": self.application["id"], "ttl_seconds": 3600}

    def _post(self, path: str, mandate: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(
            f"{self._caracal.control}/zones/{self.zone}/{path}",
            json=body,
            headers={"authorization": f"Bearer {mandate}"},
        )
        answer.raise_for_status()
        return dict(answer.json())


def port_of(url: str) -> int:
    return int(urlsplit(url).port or 0)


def mint_request(worker: Worker) -> bytes:
    body = urlencode(worker.form).encode()
    return (
        b"POST /oauth/2/token HTTP/1.1\r\nhost: bench\r\n"
        b"content-type: application/x-www-form-urlencoded\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    ) + body


GET = b"GET /rows/7 HTTP/1.1\r\nhost: bench\r\nx-caracal-resource: resource://bench\r\n\r\n"


async def governed_call(
    control: Connection, gateway: Connection, mint: bytes, request: bytes = GET
) -> bool:
    """One governed call: mint, then spend."""
    status, body = await control.ask(mint)
    if status != 200:
        return False
    head, said = request.split(b"\r\n\r\n", 1)
    at = body.index(b'"access_token":"') + 16
    mandate = body[at : body.index(b'"', at)]
    status, _ = await gateway.ask(
        head + b"\r\nauthorization: Bearer " + mandate + b"\r\n\r\n" + said
    )
    return status == 200
