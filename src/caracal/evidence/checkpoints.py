"""Checkpoints: a log's origin, size and root, as a signed note (c2sp.org/tlog-checkpoint).

A log signs with a key named like its origin, and a checkpoint is accepted only if both
names agree: a key that signs for two logs cannot pass one off as the other.
"""

import re
from base64 import b64encode
from collections.abc import Sequence

import msgspec

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import (
    Signer,
    VerifierKey,
    countersign_note,
    decode_base64,
    parse_note,
    require_line,
    sign_note,
    verify_note,
    verify_note_by_any,
)
from caracal.evidence.tree import EMPTY_ROOT, HASH_BYTES, MAX_SIZE

MAX_EXTENSIONS = 16

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_MANDATORY_LINES = 3


class Checkpoint(msgspec.Struct, frozen=True):
    """What a log commits to: that its first `size` entries have this root.

    Raises:
        EvidenceError: on construction, for values no checkpoint can hold.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_line(self.origin, "an origin")
        if not 0 <= self.size <= MAX_SIZE:
            raise EvidenceError("a tree has 0 to 2**63 - 1 leaves")
        if len(self.root) != HASH_BYTES:
            raise EvidenceError("a root has 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise EvidenceError("the root of an empty tree is the hash of nothing")
        if len(self.extensions) > MAX_EXTENSIONS:
            raise EvidenceError(f"a checkpoint has at most {MAX_EXTENSIONS} extension lines")
        for line in self.extensions:
            require_line(line, "an extension")

    def render(self) -> str:
        """Render as the note text that is signed."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a checkpoint, without its signatures.

    Raises:
        EvidenceError: it is malformed, or written another way than `render` would.
    """
    *lines, rest = text.split("\n")
    if rest or len(lines) < _MANDATORY_LINES:
        raise EvidenceError("a checkpoint is an origin, a size and a root, each on its line")
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size):
        raise EvidenceError("a checkpoint's size is a decimal number without leading zeros")
    return Checkpoint(origin, int(size), decode_base64(root), tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer, key: VerifierKey) -> str:
    """Render `checkpoint` as a note signed by `signer`, whose public key is `key`.

    Whoever calls this promises that the log never signs two checkpoints of which neither
    tree is how the other began.

    Raises:
        EvidenceError: `key` is not named like the origin, or is not the signer's.
    """
    _require_own_key(checkpoint, key)
    return sign_note(checkpoint.render(), key, signer).render()


def countersign_checkpoint(note: str, signer: Signer, key: VerifierKey) -> str:
    """Add the signature of another key of the same log, as while one takes over from the other.

    Raises:
        EvidenceError: it is malformed, or `key` is not named like the origin or not the signer's.
    """
    parsed = parse_note(note)
    _require_own_key(parse_checkpoint(parsed.text), key)
    return countersign_note(parsed, key, signer).render()


def verify_checkpoint_by_any(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Parse a checkpoint that at least one of a log's keys signed, and none of them wrongly.

    Raises:
        EvidenceError: it is malformed, not signed by `keys`, or of another log.
    """
    checkpoint = parse_checkpoint(verify_note_by_any(parse_note(note), keys))
    for key in keys:
        _require_own_key(checkpoint, key)
    return checkpoint


def verify_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Parse a checkpoint that `key` signed for the log it is named after.

    Raises:
        EvidenceError: it is malformed, not signed by `key`, or of another log.
    """
    checkpoint = parse_checkpoint(verify_note(parse_note(note), key))
    _require_own_key(checkpoint, key)
    return checkpoint


def _require_own_key(checkpoint: Checkpoint, key: VerifierKey) -> None:
    if checkpoint.origin != key.name:
        raise EvidenceError(f"the key of {key.name!r} does not speak for {checkpoint.origin!r}")
