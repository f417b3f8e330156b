"""The keys of the evidence logs: their files, as Audit needs them, and what changes them."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caracal.tokens.secret import Secret
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sealing.key_files import KEY_BYTES
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sealing.succession import key_files_as_store
from caracal_server.assembly.derived_keys import RECEIPT_REFERENCES, derived_key
from caracal_server.audit.key_api import LogKeyApi
from caracal_server.audit.logs import LogKey, LogKeys
from caracal_server.audit.service import AuditService
from caracal_server.web.operators import Authenticate
from caracal_server.web.routes import Route


def log_key(private: Ed25519PrivateKey) -> LogKey:
    reference_key = derived_key(Secret(private.private_bytes_raw().hex()), RECEIPT_REFERENCES)
    return LogKey(
        private.public_key().public_bytes_raw(), private.sign, bytes.fromhex(reference_key.reveal())
    )


def log_keys(ring: KeyRing, *, needed_by: str | None) -> LogKeys:
    """The key that signs, and the one before while both do."""
    current = log_key(ring.evidence_key(needed_by=needed_by))
    before = ring.evidence_succession().before()
    if before is None:
        return LogKeys(current)
    return LogKeys(current, log_key(Ed25519PrivateKey.from_private_bytes(before)))


def log_key_routes(
    audit: AuditService, ring: KeyRing, entropy: SystemEntropy, authenticate: Authenticate
) -> tuple[Route, ...]:
    """What changes the key, wherever Audit runs."""
    change = audit.key_change(LogKeyFilesOf(ring, entropy))
    return LogKeyApi(change, audit.acting(authenticate)).routes()


@dataclass(frozen=True, slots=True)
class LogKeyFilesOf:
    """The `LogKeyFiles` of a key ring."""

    ring: KeyRing
    entropy: SystemEntropy

    def begin(self) -> LogKey:
        with key_files_as_store():
            self.ring.evidence_succession().begin(self.entropy.token_bytes(KEY_BYTES))
            return log_key(self.ring.evidence_key(needed_by="the evidence logs"))

    def finish(self) -> None:
        with key_files_as_store():
            self.ring.evidence_succession().finish()
