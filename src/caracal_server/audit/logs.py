"""Which logs there are, what they are called, and the key that signs for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from caracal.authority.identifiers import InvalidIdentifier, ZoneId, parse_id
from caracal.evidence.checkpoints import (
    Checkpoint,
    countersign_checkpoint,
    sign_checkpoint,
    verify_checkpoint_by_any,
)
from caracal.evidence.notes import Signer, VerifierKey, parse_note
from caracal_server.audit.settings import AuditSettings
from caracal_server.ports.zones import ZoneDirectory


@dataclass(frozen=True, slots=True)
class LogKey:
    """The Ed25519 key of this process's logs: its public half, and the act of signing.

    Attributes:
        reference_key: derived from it; what references to entries are made under.
    """

    public_key: bytes
    sign: Signer = field(repr=False)
    reference_key: bytes = field(repr=False)


@dataclass(slots=True)
class LogKeys:
    """The key that signs, and the one before while both do."""

    current: LogKey
    before: LogKey | None = None

    def all(self) -> tuple[LogKey, ...]:
        """The keys that sign, the current one first."""
        return (self.current,) if self.before is None else (self.current, self.before)


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of the zones and the service's own, all signed with the same keys under different names."""

    zones: ZoneDirectory
    keys: LogKeys
    settings: AuditSettings

    @property
    def key(self) -> LogKey:
        return self.keys.current

    def known(self, zone_id: ZoneId) -> bool:
        return zone_id in self.settings.own_logs or self.zones.zone(zone_id) is not None

    def all(self) -> tuple[ZoneId, ...]:
        """Each once: apart, Audit's own are among those that it found stored."""
        own = self.settings.own_logs
        return tuple(dict.fromkeys((*own, *(zone.id for zone in self.zones.zones()))))

    @property
    def origin_prefix(self) -> str:
        return f"{self.settings.origin_host}/evidence/"

    def origin(self, zone_id: ZoneId) -> str:
        return self.origin_of(zone_id, self.settings.shard)

    def origin_of(self, zone_id: ZoneId, shard: str) -> str:
        """What the log of a zone in a shard is called; that of the zone itself when `shard` is empty."""
        return f"{self.origin_prefix}{zone_id}/{shard}" if shard else self.origin_prefix + zone_id

    def verifier(self, zone_id: ZoneId) -> VerifierKey:
        """The key as an auditor of this zone's log knows it."""
        return self.verifier_of(self.key, zone_id)

    def verifier_of(self, key: LogKey, zone_id: ZoneId) -> VerifierKey:
        return VerifierKey(self.origin(zone_id), key.public_key)

    def signer_of(self, zone_id: ZoneId, note: str) -> VerifierKey:
        """The newest of this log's keys that signed a checkpoint; the current one if none did."""
        signed = {(line.name, line.key_id) for line in parse_note(note).signatures}
        verifiers = [self.verifier_of(key, zone_id) for key in self.keys.all()]
        return next((one for one in verifiers if (one.name, one.key_id) in signed), verifiers[0])

    def sign(self, zone_id: ZoneId, size: int, root: bytes) -> str:
        """Sign a checkpoint; only `Checkpointer` may, which knows what was signed before."""
        checkpoint = Checkpoint(self.origin(zone_id), size, root)
        current, *others = self.keys.all()
        note = sign_checkpoint(checkpoint, current.sign, self.verifier_of(current, zone_id))
        for key in others:
            note = countersign_checkpoint(note, key.sign, self.verifier_of(key, zone_id))
        return note

    def read(self, zone_id: ZoneId, note: str) -> Checkpoint:
        """Read a checkpoint of this log.

        Raises:
            EvidenceError: none of this log's keys signed it.
        """
        verifiers = [self.verifier_of(key, zone_id) for key in self.keys.all()]
        return verify_checkpoint_by_any(note, verifiers)


def may_have_a_log(zone_id: ZoneId) -> bool:
    """Whether it is an identifier: any other could collide with the name of a shard's log."""
    try:
        parse_id(ZoneId, zone_id)
    except InvalidIdentifier:
        return False
    return True


Durable = Callable[[ZoneId, int], None]
"""Is told, after every commit, to which size a log has become durable."""
