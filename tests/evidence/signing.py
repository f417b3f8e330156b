"""Keys that tests sign with; made from fixed seeds, so that every signature is the same."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint
from caracal.evidence.notes import Signer, VerifierKey
from caracal.evidence.tree import TreeState, leaf_hash


def key_pair(name: str, seed: int = 1) -> tuple[VerifierKey, Signer]:
    private_key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return VerifierKey(name, private_key.public_key().public_bytes_raw()), private_key.sign


def signed_log(entries: list[bytes], name: str = "caracal.example/log") -> tuple[str, VerifierKey]:
    """Return the signed checkpoint of a log of `entries`, and the key it verifies with."""
    key, signer = key_pair(name)
    tree = TreeState().extend([leaf_hash(entry) for entry in entries])
    return sign_checkpoint(Checkpoint(name, tree.size, tree.root()), signer, key), key
