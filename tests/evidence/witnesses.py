"""Witnesses for tests: keys from fixed seeds, and checkpoints that they cosigned."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caracal.evidence.cosignatures import cosign
from caracal.evidence.notes import SignedNote, Signer
from caracal.evidence.witness_keys import WitnessKey


def witness(number: int) -> tuple[WitnessKey, Signer]:
    private = Ed25519PrivateKey.from_private_bytes(bytes([100 + number]) * 32)
    name = f"witness.example/w{number}"
    return WitnessKey(name, private.public_key().public_bytes_raw()), private.sign


def cosigned(note: SignedNote, times: dict[int, int]) -> SignedNote:
    """Have witnesses, by their numbers, cosign at these times."""
    lines = tuple(cosign(note.text, *witness(number), at) for number, at in times.items())
    return SignedNote(note.text, (*note.signatures, *lines))
