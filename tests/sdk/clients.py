"""Configurations of clients for applications of a test's zone."""

from typing import Any

from caracal.sdk import Configuration, Secret
from tests.support.deployment import API, Zone


def configured(zone: Zone, name: str = "agent", **changes: Any) -> Configuration:
    application, secret = zone.applications[name]
    running = zone.deployment.running
    given: dict[str, Any] = {
        "zone_id": zone.id,
        "application_id": application,
        "client_secret": Secret(secret),
        "sts_url": running.control,
        "gateway_url": running.gateway,
        "resources": (API,),
    }
    return Configuration(**(given | changes))


def status(zone: Zone, session: str) -> str:
    """How a session stands, as the operator sees it."""
    return zone.operate("GET", f"agents/{session}").json()["status"]


def live_sessions(zone: Zone) -> set[str]:
    listed = zone.operate("GET", "agents?status=active").json()["items"]
    return {item["agent_session_id"] for item in listed}
