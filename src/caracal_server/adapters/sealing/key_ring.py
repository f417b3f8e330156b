"""The keys of a data directory, by what they are for."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from caracal.tokens.secret import Secret
from caracal_server.adapters.sealing.credentials import HpkeOpener, HpkeSealer
from caracal_server.adapters.sealing.key_files import (
    KEY_BYTES,
    KeyFileError,
    load_key,
    load_or_create_key,
)
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal
from caracal_server.adapters.sealing.succession import Succession, replace_key
from caracal_server.ports.entropy import Entropy

SIGNING_SEAL = "sts-seal.key"
OPENING = "gateway-opening.key"
SEALING = "control-sealing.key"
PEPPER = "client-secret-pepper.key"
EVIDENCE = "evidence-signing.key"

SIGNING_SEAL_KIND = "sts-seal"
OPENING_KIND = "gateway-opening"
SEALING_KIND = "control-sealing"
EVIDENCE_KIND = "evidence-signing"
PEPPER_KIND = "client-secret-pepper"


class KeyRing:
    """Key files in one directory. Each method loads one, or makes it on a first start.

    `needed_by` says in words what was sealed, signed or hashed under the key before, `None` if nothing
    was; a missing file is then an error and never a new key. All raise `KeyFileError`.
    """

    def __init__(self, directory: Path, entropy: Entropy) -> None:
        self._directory = directory
        self._entropy = entropy

    def private_key_seal(self, *, needed_by: str | None) -> PrivateKeySeal:
        """For the STS: what seals the private halves of the zones' signing keys."""
        key = self._load(SIGNING_SEAL, SIGNING_SEAL_KIND, needed_by)
        return PrivateKeySeal(key, self._entropy, self.signing_seal_succession().before())

    def signing_seal_succession(self) -> Succession:
        return Succession(self._directory / SIGNING_SEAL, SIGNING_SEAL_KIND)

    def credential_opener(self, *, needed_by: str | None) -> HpkeOpener:
        """For the Gateway: what opens upstream credentials."""
        key = self._opening(needed_by)
        before = self.opening_succession().before()
        return HpkeOpener(
            key, None if before is None else X25519PrivateKey.from_private_bytes(before)
        )

    def opening_succession(self) -> Succession:
        return Succession(self._directory / OPENING, OPENING_KIND)

    def credential_sealer(self) -> HpkeSealer:
        """For Control: what seals upstream credentials; its file holds a public key only.

        Where the Gateway's key is at hand the public one is derived from it if it is missing.
        """
        path = self._directory / SEALING
        if (self._directory / OPENING).exists():
            public = self._opening(needed_by="its public half").public_key().public_bytes_raw()
            stored = load_or_create_key(path, SEALING_KIND, public, needed_by=None)
            if stored != public and self.opening_succession().before() is not None:
                self.publish_sealing(public)
            elif stored != public:
                raise KeyFileError(f"{path}: of another key than {OPENING}")
            stored = public
        else:
            stored = load_key(path, SEALING_KIND)
        return HpkeSealer(X25519PublicKey.from_public_bytes(stored))

    def publish_sealing(self, public: bytes) -> None:
        """Give Control the public half of the Gateway's next key."""
        replace_key(self._directory / SEALING, SEALING_KIND, public)

    def client_secret_pepper(self, *, needed_by: str | None) -> Secret:
        """For the STS and Control: the key of the hashes of generated client secrets."""
        key = self._load(PEPPER, PEPPER_KIND, needed_by)
        return Secret(base64.b64encode(key).decode())

    def evidence_key(self, *, needed_by: str | None) -> Ed25519PrivateKey:
        """For Audit: what signs checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self._load(EVIDENCE, EVIDENCE_KIND, needed_by))

    def evidence_succession(self) -> Succession:
        return Succession(self._directory / EVIDENCE, EVIDENCE_KIND)

    def _opening(self, needed_by: str | None) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self._load(OPENING, OPENING_KIND, needed_by))

    def _load(self, name: str, kind: str, needed_by: str | None) -> bytes:
        new_key = self._entropy.token_bytes(KEY_BYTES)
        return load_or_create_key(self._directory / name, kind, new_key, needed_by=needed_by)
