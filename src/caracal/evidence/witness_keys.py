"""Who cosigned a checkpoint: Ed25519 cosignatures, version 1 (c2sp.org/tlog-cosignature), verified.

A cosignature is one more line of the checkpoint's note. What it signs names a time and the checkpoint's
text, and not the witness: so one key counts once, whatever names it is given.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, decode_base64, require_name

_COSIGNATURE: Final = b"\x04"
_KEY: Final = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})")
TIME_BYTES: Final = 8
_PUBLIC_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
MAX_TIME: Final = 2**63 - 1


class WitnessKey(msgspec.Struct, frozen=True):
    """The name and Ed25519 public key of a witness.

    Raises:
        EvidenceError: on construction, for a name or key that cannot be one.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.public_key) != _PUBLIC_KEY_BYTES:
            raise EvidenceError("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, single this key out in a note."""
        return sha256(self.name.encode() + b"\n" + _COSIGNATURE + self.public_key).digest()[:4]

    def render(self) -> str:
        """Render as `name+id+key`, what `parse_witness_key` parses."""
        typed = b64encode(_COSIGNATURE + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{typed}"

    def signed(self, line: NoteSignature) -> bool:
        """Whether a signature names this key; it is not verified."""
        return (line.name, line.key_id) == (self.name, self.key_id)


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
    found = [one for key in witnesses if (one := cosigned_by(note, key)) is not None]
    if len(found) < quorum:
        raise EvidenceError(f"{len(found)} of {len(witnesses)} witnesses cosigned, not {quorum}")
    return tuple(found)


def cosigned_by(note: SignedNote, key: WitnessKey) -> Cosigned | None:
    """When this witness signed last, if it did.

    Raises:
        EvidenceError: a signature that names it does not verify.
    """
    times = [verified_time(note.text, line, key) for line in note.signatures if key.signed(line)]
    return Cosigned(key.name, max(times)) if times else None


def cosigned_message(text: str, at: int) -> bytes:
    """What a witness signs: a time, and the text of a checkpoint."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def verified_time(text: str, line: NoteSignature, key: WitnessKey) -> int:
    """When `key` signed a checkpoint's text, in seconds since the epoch.

    Raises:
        EvidenceError: the line is no cosignature of the text by this key.
    """
    cosignature = line.signature
    if len(cosignature) != TIME_BYTES + _SIGNATURE_BYTES:
        raise EvidenceError(f"the cosignature by {key.name!r} has not 72 bytes")
    at = int.from_bytes(cosignature[:TIME_BYTES], "big")
    if at > MAX_TIME:
        raise EvidenceError(f"the cosignature by {key.name!r} is from beyond time")
    signed = cosigned_message(text, at)
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(cosignature[TIME_BYTES:], signed)
    except InvalidSignature:
        raise EvidenceError(f"the cosignature by {key.name!r} does not verify") from None
    return at
