"""What a log and a witness say to each other (c2sp.org/tlog-witness, 1.0.0).

A log posts a checkpoint with the proof that it continues the one this witness saw last. The witness
answers with its cosignature, or says why not.
"""

import re
from base64 import b64encode
from typing import Final

import msgspec

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import MAX_NOTE_BYTES, NoteSignature, decode_base64, parse_signature
from caracal.evidence.tree import HASH_BYTES, MAX_SIZE

MAX_PROOF: Final = 63
MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 4096
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_COSIGNATURES: Final = 16
SIZE_TYPE: Final = "text/x.tlog.size"
PATH: Final = "/add-checkpoint"

OK: Final = 200
CONFLICT: Final = 409

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_OLD: Final = "old "


class AddCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint's note, and the proof that it continues the tree of `old_size`; not verified.

    Raises:
        EvidenceError: on construction, for what no request can hold.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def __post_init__(self) -> None:
        if not 0 <= self.old_size <= MAX_SIZE:
            raise EvidenceError("an old size is 0 to 2**63 - 1")
        if len(self.proof) > MAX_PROOF or any(len(value) != HASH_BYTES for value in self.proof):
            raise EvidenceError(f"a consistency proof has at most {MAX_PROOF} hashes of 32 bytes")

    def render(self) -> str:
        """Render as the body that is posted."""
        hashes = (f"{b64encode(value).decode()}\n" for value in self.proof)
        return "".join((f"{_OLD}{self.old_size}\n", *hashes, "\n", self.note))


class Holds(msgspec.Struct, frozen=True):
    """The witness saw another size of this log last than the one that was named."""

    size: int


class Declined(msgspec.Struct, frozen=True):
    """The witness did not sign, for the reason that its status stands for."""

    status: int


Answer = tuple[NoteSignature, ...] | Holds | Declined
"""Signature lines, none of them verified; or what was said instead."""


def parse_add_checkpoint(body: str) -> AddCheckpoint:
    """Parse what `AddCheckpoint.render` renders; the note is not looked into.

    Raises:
        EvidenceError: it is malformed or over a limit.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise EvidenceError(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    head, separator, note = body.partition("\n\n")
    first, *hashes = head.split("\n")
    size = first.removeprefix(_OLD)
    if not separator or size == first or not _SIZE.fullmatch(size):
        raise EvidenceError("a request is an old size, a proof, an empty line and a checkpoint")
    if len(hashes) > MAX_PROOF:
        raise EvidenceError(f"a consistency proof has at most {MAX_PROOF} hashes of 32 bytes")
    return AddCheckpoint(int(size), tuple(decode_base64(line) for line in hashes), note)


def parse_answer(status: int, content_type: str, body: bytes) -> Answer:
    """Parse what a witness answered.

    Raises:
        EvidenceError: a 200 is no list of signature lines, or a 409 states no size.
    """
    if status not in (OK, CONFLICT):
        return Declined(status)
    if len(body) > MAX_ANSWER_BYTES:
        raise EvidenceError(f"an answer has at most {MAX_ANSWER_BYTES} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise EvidenceError("the answer is not UTF-8") from None
    if status == CONFLICT:
        return _parse_size(content_type, text)
    lines = text.removesuffix("\n").split("\n")
    if not text.endswith("\n") or len(lines) > MAX_COSIGNATURES:
        raise EvidenceError(f"the answer is not 1 to {MAX_COSIGNATURES} signature lines")
    return tuple(parse_signature(line) for line in lines)


def _parse_size(content_type: str, text: str) -> Holds:
    size = text.removesuffix("\n")
    if content_type.partition(";")[0].strip().lower() != SIZE_TYPE:
        raise EvidenceError(f"a size is answered as {SIZE_TYPE}")
    if not text.endswith("\n") or not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise EvidenceError("the answer is not a size")
    return Holds(int(size))
