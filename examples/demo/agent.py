"""An agent as a developer might write one: plain HTTP, one credential of its own, no upstream key.

It is a process that reads one JSON command a line from standard input and answers one JSON line each.
It keeps every header that it sent or received, so that anyone can look for a key in them.
"""

import json
import os
import sys
from typing import Any

import httpx

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
RESOURCE = os.environ.get("DEMO_RESOURCE", "resource://shop")


class Agent:
    """Gets authority from Caracal's control side and spends it at the Gateway."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._control = environment["CARACAL_STS_URL"]
        self._gateway = environment["CARACAL_GATEWAY_URL"]
        self._zone = environment["CARACAL_ZONE_ID"]
        self._application = environment["CARACAL_APPLICATION_ID"]
        self._secret = environment["CARACAL_APP_CLIENT_SECRET"]
        self.headers: list[tuple[str, str]] = []
        self._http = httpx.Client(
            timeout=30,
            trust_env=False,
            event_hooks={"request": [self._keep], "response": [self._keep]},
        )

    def _keep(self, message: httpx.Request | httpx.Response) -> None:
        self.headers += message.headers.multi_items()

    def start(self, parent: str | None = None) -> dict[str, Any]:
        body = {"application_id": self._application, "ttl_seconds": 600}
        if parent is not None:
            body |= {"parent_id": parent, "parent_authority": "none"}
        return self._coordinator("agents", body)

    def delegate(self, **body: Any) -> dict[str, Any]:
        constraints = {"resources": [RESOURCE], "max_hops": body.pop("max_hops")}
        return self._coordinator(
            "delegations",
            {
                "issuer_application_id": self._application,
                "constraints": constraints,
                **body,
            },
        )

    def mint(self, session: str, delegation: str, scope: str) -> dict[str, Any]:
        answer = self._token(
            scope=scope,
            resource=RESOURCE,
            agent_session_id=session,
            delegation_edge_id=delegation,
        )
        return _shown(answer)

    def call(
        self,
        mandate: str,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        answer = self._http.request(
            method,
            self._gateway + path,
            headers=self._bearer(mandate) | (headers or {}),
            json=body,
        )
        return _shown(answer)

    def download(self, mandate: str, path: str) -> dict[str, Any]:
        """Stream a long answer; say when it has begun, and how it ended."""
        received = 0
        try:
            with self._http.stream(
                "GET", self._gateway + path, headers=self._bearer(mandate)
            ) as answer:
                for chunk in answer.iter_raw():
                    if not received:
                        print(json.dumps({"began": answer.status_code}), flush=True)
                    received += len(chunk)
        except httpx.RemoteProtocolError:
            return {"whole": False, "bytes": received}
        return {"whole": True, "bytes": received}

    def confess(self) -> dict[str, Any]:
        """All that this process was given and has seen of headers."""
        return {"environment": dict(os.environ), "headers": self.headers}

    def _bearer(self, mandate: str) -> dict[str, str]:
        return {"authorization": f"Bearer {mandate}", "x-caracal-resource": RESOURCE}

    def _token(self, **fields: str) -> httpx.Response:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "zone_id": self._zone,
            "application_id": self._application,
            "client_secret": self._secret,
        }
        return self._http.post(f"{self._control}/oauth/2/token", data=form | fields)

    def _coordinator(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        lifecycle = self._token(scope="agent:lifecycle", resource=RESOURCE)
        lifecycle.raise_for_status()
        answer = self._http.post(
            f"{self._control}/zones/{self._zone}/{path}",
            headers={"authorization": f"Bearer {lifecycle.json()['access_token']}"},
            json=body,
        )
        return _shown(answer)


def _shown(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        content = answer.text
    return {
        "status": answer.status_code,
        "body": content,
        "request_id": answer.headers.get("x-request-id", ""),
        "receipt": answer.headers.get("caracal-receipt", ""),
    }


def main() -> None:
    agent = Agent(dict(os.environ))
    for line in sys.stdin:
        command = json.loads(line)
        act = getattr(agent, command.pop("do"))
        print(json.dumps(act(**command)), flush=True)


if __name__ == "__main__":
    main()
