"""What Audit is set to, wherever it runs."""

from datetime import timedelta
from typing import Any

from caracal_server.audit.settings import AuditSettings


def audit_settings(log_origin: str, settings: dict[str, Any]) -> AuditSettings:
    """Read them off the settings of the deployment."""
    return AuditSettings(
        log_origin,
        sweep_interval=timedelta(minutes=settings["SWEEP_MINUTES"]),
        public_log=settings["PUBLIC_LOG"],
        committed=frozenset(settings["COMMITTED_FIELDS"]),
    )
