"""What has been found wrong with the logs. Nothing in a running process takes a finding back."""

import structlog

from caracal.authority.identifiers import ZoneId

_log = structlog.get_logger("caracal.audit")


class LogBroken(Exception):
    """What is stored is not the log that was written."""


class Integrity:
    """The findings, and whether they let the log go on. A check of readiness."""

    def __init__(self) -> None:
        self._findings: dict[tuple[ZoneId, str], str] = {}
        self._halted = False

    @property
    def halted(self) -> bool:
        """Whether nothing may be appended or signed any more."""
        return self._halted

    def report(self, zone_id: ZoneId, finding: str, *, shard: str = "") -> None:
        """Turn readiness red; the first finding of a log is the one that is kept."""
        if (zone_id, shard) not in self._findings:
            self._findings[zone_id, shard] = finding
            _log.error("evidence_broken", zone=zone_id, shard=shard, finding=finding)

    def halt(self, zone_id: ZoneId, finding: str) -> None:
        """Turn readiness red and stop the log: what would be written or signed next is not known."""
        self._halted = True
        self.report(zone_id, finding)

    def check(self) -> str | None:
        """Name every zone whose evidence is broken, and what is wrong first."""
        found = [f"zone {zone_id}: {finding}" for (zone_id, _), finding in self._findings.items()]
        return "; ".join(found) or None
