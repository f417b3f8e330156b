"""Which logs there are, what they are called, and the key that signs for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from caracal.authority.identifiers import ZoneId
from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint, verify_checkpoint
from caracal.evidence.notes import Signer, VerifierKey
from caracal_server.audit.settings import AuditSettings
from caracal_server.ports.zones import ZoneDirectory


@dataclass(frozen=True, slots=True)
class LogKey:
    """The Ed25519 key of this process's logs: its public half, and the act of signing."""

    public_key: bytes
    sign: Signer = field(repr=False)


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of the zones and the service's own, all signed with one key under different names."""

    zones: ZoneDirectory
    key: LogKey
    settings: AuditSettings

    def known(self, zone_id: ZoneId) -> bool:
        return zone_id in self.settings.own_logs or self.zones.zone(zone_id) is not None

    def all(self) -> tuple[ZoneId, ...]:
        return (*self.settings.own_logs, *(zone.id for zone in self.zones.zones()))

    @property
    def origin_prefix(self) -> str:
        return f"{self.settings.origin_host}/evidence/"

    def origin(self, zone_id: ZoneId) -> str:
        return self.origin_prefix + zone_id

    def verifier(self, zone_id: ZoneId) -> VerifierKey:
        """The key as an auditor of this zone's log knows it."""
        return VerifierKey(self.origin(zone_id), self.key.public_key)

    def sign(self, zone_id: ZoneId, size: int, root: bytes) -> str:
        """Sign a checkpoint; only `Checkpointer` may, which knows what was signed before."""
        checkpoint = Checkpoint(self.origin(zone_id), size, root)
        return sign_checkpoint(checkpoint, self.key.sign, self.verifier(zone_id))

    def read(self, zone_id: ZoneId, note: str) -> Checkpoint:
        """Read a checkpoint of this log.

        Raises:
            EvidenceError: this log's key did not sign it.
        """
        return verify_checkpoint(note, self.verifier(zone_id))


Durable = Callable[[ZoneId, int], None]
"""Is told, after every commit, to which size a log has become durable."""
