"""Commitments: a digest that stands in an entry for a value, and the opening that is kept apart.

Without the salt the digest says nothing, not even to whoever tries every likely value. With it, anyone
can check that the value is the one that was committed to.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

import msgspec

from caracal.evidence.canonical import JsonValue, canonical_json
from caracal.evidence.errors import EvidenceError

SALT_BYTES: Final = 32


class Opening(msgspec.Struct, frozen=True):
    """What opens a commitment: `salt`, base64url of 32 random bytes, and the text committed to."""

    salt: str
    value: str


Openings = dict[str, Opening]
"""Field of an entry to what opens its commitment."""

_decode_openings = msgspec.json.Decoder(Openings).decode


def commit(salt: bytes, value: JsonValue) -> str:
    """Commit to a value: base64url of SHA-256(salt || 0x00 || canonical JSON of the value).

    Args:
        salt: 32 random bytes, of this value alone.
        value: what `canonical_json` takes.

    Raises:
        ValueError: the salt has another length, or the value may not stand in evidence.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return _encoded(hashlib.sha256(salt + b"\x00" + canonical_json(value)).digest())


def make_opening(salt: bytes, value: str) -> Opening:
    """Keep what `commit` was called with."""
    return Opening(_encoded(salt), value)


def verify_opening(opening: Opening, digest: str) -> None:
    """Hold an opening to a commitment; takes as long whichever bytes of the digest differ.

    Raises:
        EvidenceError: it opens another one, or is malformed.
    """
    salt = _decoded_salt(opening.salt)
    try:
        made = commit(salt, opening.value)
    except ValueError as fault:
        raise EvidenceError("a value that may not stand in evidence opens no commitment") from fault
    if not hmac.compare_digest(made.encode(), digest.encode(errors="replace")):
        raise EvidenceError("an opening does not open its commitment")


def verify_openings(openings: Mapping[str, Opening], committed: Mapping[str, str]) -> None:
    """Hold the openings of an entry to what it committed to; some may be gone.

    Raises:
        EvidenceError: one does not open its commitment, or there is no commitment to open.
    """
    for field, opening in openings.items():
        if field not in committed:
            raise EvidenceError(f"an entry commits to no {field!r}")
        verify_opening(opening, committed[field])


def parse_openings(data: bytes) -> Openings:
    """Parse openings as `render_openings` renders them; nothing is verified.

    Raises:
        EvidenceError: they are malformed.
    """
    try:
        return _decode_openings(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EvidenceError("openings are a JSON object of objects with salt and value") from fault


def render_openings(openings: Mapping[str, Opening]) -> bytes:
    """Render as canonical JSON.

    Raises:
        ValueError: a value may not stand in evidence.
    """
    return canonical_json(
        {field: {"salt": made.salt, "value": made.value} for field, made in openings.items()}
    )


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded_salt(text: str) -> bytes:
    """Only the one text that 32 bytes are encoded as is taken."""
    try:
        salt = urlsafe_b64decode(text + "=")
    except ValueError as fault:
        raise EvidenceError("a salt is base64url") from fault
    if len(salt) != SALT_BYTES or _encoded(salt) != text:
        raise EvidenceError(f"a salt is {SALT_BYTES} bytes in base64url")
    return salt
