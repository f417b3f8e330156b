"""How large a zone's graph may grow, from the settings."""

from typing import Any

from caracal.authority.graph import GraphLimits


def graph_limits(settings: dict[str, Any]) -> GraphLimits:
    return GraphLimits(
        sessions_per_zone=settings["SESSIONS_PER_ZONE"],
        sessions_per_application=settings["SESSIONS_PER_APPLICATION"],
        children_per_session=settings["CHILDREN_PER_SESSION"],
    )
