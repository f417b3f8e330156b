"""Who cosigned a checkpoint: Ed25519 cosignatures, version 1 (c2sp.org/tlog-cosignature), verified.

A cosignature is one more line of the checkpoint's note. What it signs names a time and the checkpoint's
text, and not the witness: so one key counts once, whatever names it is given.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import SignedNote, decode_base64, require_line

_COSIGNATURE: Final = b"\x04"
_KEY: Final = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})")
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_MAX_TIME: Final = 2**63 - 1


class WitnessKey(msgspec.Struct, frozen=True):
    """The name and Ed25519 public key of a witness."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, single this key out in a note."""
        return sha256(self.name.encode() + b"\n" + _COSIGNATURE + self.public_key).digest()[:4]


class Cosigned(msgspec.Struct, frozen=True):
    """A witness, and when it signed: seconds since the epoch, UTC, by its own clock."""

    witness: str
    at: int


def parse_witness_key(text: str) -> WitnessKey:
    """Parse a verifier key of type 0x04.

    Raises:
        EvidenceError: it is malformed, of another type, or its id is not its own.
    """
    parts = _KEY.fullmatch(text)
    if not parts:
        raise EvidenceError("a witness key reads name+id+key")
    require_line(parts[1], "a key name")
    typed = decode_base64(parts[3])
    if typed[:1] != _COSIGNATURE:
        raise EvidenceError("the key is not a witness's: it is not of the type of cosignatures")
    key = WitnessKey(parts[1], typed[1:])
    if key.key_id.hex() != parts[2]:
        raise EvidenceError("the witness key does not have the id it states")
    return key


def require_cosigned(
    note: SignedNote, witnesses: Sequence[WitnessKey], quorum: int
) -> tuple[Cosigned, ...]:
    """Return which of `witnesses` cosigned a note's text, at least `quorum` of them.

    Raises:
        EvidenceError: fewer did, a signature that names one of them does not verify, or the same key
            stands for two of them.
    """
    if len({key.public_key for key in witnesses}) != len(witnesses):
        raise EvidenceError("two witnesses have the same key")
    if not 0 <= quorum <= len(witnesses):
        raise EvidenceError(f"a quorum of {quorum} of {len(witnesses)} witnesses can not be")
    found = [one for key in witnesses if (one := _cosigned(note, key)) is not None]
    if len(found) < quorum:
        raise EvidenceError(f"{len(found)} of {len(witnesses)} witnesses cosigned, not {quorum}")
    return tuple(found)


def _cosigned(note: SignedNote, key: WitnessKey) -> Cosigned | None:
    """When this witness signed last; every signature that names it must verify."""
    times = [
        _verified_time(note.text, line.signature, key)
        for line in note.signatures
        if (line.name, line.key_id) == (key.name, key.key_id)
    ]
    return Cosigned(key.name, max(times)) if times else None


def _verified_time(text: str, cosignature: bytes, key: WitnessKey) -> int:
    if len(cosignature) != _TIME_BYTES + _SIGNATURE_BYTES:
        raise EvidenceError(f"the cosignature by {key.name!r} has not 72 bytes")
    at = int.from_bytes(cosignature[:_TIME_BYTES], "big")
    if at > _MAX_TIME:
        raise EvidenceError(f"the cosignature by {key.name!r} is from beyond time")
    signed = f"cosignature/v1\ntime {at}\n{text}".encode()
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(cosignature[_TIME_BYTES:], signed)
    except InvalidSignature:
        raise EvidenceError(f"the cosignature by {key.name!r} does not verify") from None
    return at
