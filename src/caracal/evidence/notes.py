"""Signed notes: text that carries the signatures of named keys (c2sp.org/signed-note).

Only Ed25519 (signature type 0x01) is made and verified here. A signature by any other
key, a witness for instance, is kept and not judged.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from caracal.evidence.errors import EvidenceError

MAX_NOTE_BYTES = 256 * 1024
MAX_SIGNATURES = 64
MAX_NAME_BYTES = 256

Signer = Callable[[bytes], bytes]
"""Signs bytes with an Ed25519 private key that stays where it is; 64 bytes come back."""

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_PUBLIC_KEY_BYTES = 32
_MARK = "\u2014 "
_VERIFIER_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class VerifierKey(msgspec.Struct, frozen=True):
    """The name and Ed25519 public key that a log's signatures are verified with.

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
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    def render(self) -> str:
        """Render as `name+id+key`, the one line that people pass around."""
        key = b64encode(_ED25519 + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


class NoteSignature(msgspec.Struct, frozen=True):
    """One signature line: what it claims, not what was verified.

    Raises:
        EvidenceError: on construction, for a line that cannot be written.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.key_id) != _KEY_ID_BYTES or not self.signature:
            raise EvidenceError("a signature has a 4-byte key id and is not empty")

    def render(self) -> str:
        """Render as one line, without its end."""
        return f"{_MARK}{self.name} {b64encode(self.key_id + self.signature).decode()}"


class SignedNote(msgspec.Struct, frozen=True):
    """A text and the signatures offered for it, none of them verified.

    Raises:
        EvidenceError: on construction, for a text or signatures no note can hold.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        _require_text(self.text)
        if not 0 < len(self.signatures) <= MAX_SIGNATURES:
            raise EvidenceError(f"a note has 1 to {MAX_SIGNATURES} signatures")
        if len(self.render().encode()) > MAX_NOTE_BYTES:
            raise EvidenceError(f"a note has at most {MAX_NOTE_BYTES} bytes")

    def render(self) -> str:
        """Render as the text that is published."""
        return "".join([self.text, "\n", *(f"{line.render()}\n" for line in self.signatures)])


def parse_verifier_key(text: str) -> VerifierKey:
    """Parse what `VerifierKey.render` renders.

    Raises:
        EvidenceError: it is malformed, of another type, or its id is not its own.
    """
    parts = _VERIFIER_KEY.fullmatch(text)
    if not parts:
        raise EvidenceError("a verifier key reads name+id+key")
    key_type_and_key = decode_base64(parts[3])
    if key_type_and_key[:1] != _ED25519:
        raise EvidenceError("the verifier key is not of type Ed25519")
    key = VerifierKey(parts[1], key_type_and_key[1:])
    if key.key_id.hex() != parts[2]:
        raise EvidenceError("the verifier key does not have the id it states")
    return key


def parse_note(note: str) -> SignedNote:
    """Parse a signed note; nothing is verified.

    Raises:
        EvidenceError: it is malformed or over a limit.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise EvidenceError(f"a note has at most {MAX_NOTE_BYTES} bytes")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise EvidenceError("a note is a text, an empty line and signature lines")
    found = lines[:-1].split("\n")
    if len(found) > MAX_SIGNATURES:
        raise EvidenceError(f"a note has 1 to {MAX_SIGNATURES} signatures")
    return SignedNote(text + "\n", tuple(parse_signature(line) for line in found))


def sign_note(text: str, key: VerifierKey, signer: Signer) -> SignedNote:
    """Sign `text`, and verify the signature before it leaves.

    Raises:
        EvidenceError: the text cannot be a note's, or `signer` does not sign for `key`.
    """
    _require_text(text)
    signature = NoteSignature(key.name, key.key_id, signer(text.encode()))
    note = SignedNote(text, (signature,))
    verify_note(note, key)
    return note


def countersign_note(note: SignedNote, key: VerifierKey, signer: Signer) -> SignedNote:
    """Add a signature to those that a note carries.

    Raises:
        EvidenceError: `signer` does not sign for `key`, or the note can take no more.
    """
    added = sign_note(note.text, key, signer)
    return SignedNote(note.text, (*note.signatures, *added.signatures))


def verify_note_by_any(note: SignedNote, keys: Iterable[VerifierKey]) -> str:
    """Return the note's text, signed by at least one of `keys` and by none of them wrongly.

    Raises:
        EvidenceError: none of `keys` signed the text, or one that it names did not.
    """
    offered = {(line.name, line.key_id) for line in note.signatures}
    known = [key for key in keys if (key.name, key.key_id) in offered]
    if not known:
        raise EvidenceError("the note carries no signature by a known key")
    for key in known:
        verify_note(note, key)
    return note.text


def verify_note(note: SignedNote, key: VerifierKey) -> str:
    """Return the note's text, signed by `key`.

    Signatures by other keys are ignored. If `key` signed more than once, every one of
    its signatures must verify.

    Raises:
        EvidenceError: `key` did not sign the text.
    """
    offered = [s for s in note.signatures if (s.name, s.key_id) == (key.name, key.key_id)]
    if not offered:
        raise EvidenceError(f"the note carries no signature by {key.name!r}")
    public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
    for line in offered:
        try:
            public_key.verify(line.signature, note.text.encode())
        except InvalidSignature:
            raise EvidenceError(f"the signature by {key.name!r} does not verify") from None
    return note.text


def decode_base64(text: str) -> bytes:
    """Decode standard base64, accepting only the one way to write the bytes.

    Raises:
        EvidenceError: it is not base64, or another way to write the same bytes.
    """
    try:
        decoded = b64decode(text, validate=True)
    except ValueError:
        raise EvidenceError("not base64") from None
    if b64encode(decoded).decode() != text:
        raise EvidenceError("not canonical base64")
    return decoded


def require_line(text: str, what: str) -> None:
    """Raise unless `text` can stand as one line of a note.

    Raises:
        EvidenceError: it is empty or not Unicode, or holds a control character.
    """
    if not text or "\n" in text or _CONTROL.search(text):
        raise EvidenceError(f"{what} is one line without control characters")
    _require_unicode(text)


def parse_signature(line: str) -> NoteSignature:
    """Parse one signature line, without its end; nothing is verified.

    Raises:
        EvidenceError: it is malformed.
    """
    if not line.startswith(_MARK):
        raise EvidenceError("a signature line begins with an em dash and a space")
    name, separator, encoded = line.removeprefix(_MARK).partition(" ")
    if not separator:
        raise EvidenceError("a signature line reads name, space, signature")
    decoded = decode_base64(encoded)
    return NoteSignature(name, decoded[:_KEY_ID_BYTES], decoded[_KEY_ID_BYTES:])


def require_name(name: str) -> None:
    """Raise unless `name` can stand before a signature.

    Raises:
        EvidenceError: it can not.
    """
    require_line(name, "a key name")
    if "+" in name or any(character.isspace() for character in name):
        raise EvidenceError("a key name holds neither a space nor a plus")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise EvidenceError(f"a key name has at most {MAX_NAME_BYTES} bytes")


def _require_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise EvidenceError("a note's text ends its last line and has no control characters")
    _require_unicode(text)


def _require_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EvidenceError("a lone surrogate is not Unicode") from None
