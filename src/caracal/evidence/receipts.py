"""Receipts: one entry with all that proves it stands in a log, as one text (c2sp.org/tlog-proof).

The entry itself is the proof's extra data. That data is not authenticated by the format; here it is,
because its leaf hash is what the inclusion path is verified from.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from caracal.evidence.checkpoints import Checkpoint, verify_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import MAX_NOTE_BYTES, VerifierKey, decode_base64, parse_note
from caracal.evidence.proofs import InclusionProof, verify_inclusion
from caracal.evidence.tree import HASH_BYTES, MAX_SIZE, leaf_hash
from caracal.evidence.witness_keys import Cosigned, WitnessKey, require_cosigned

MAX_ENTRY_BYTES: Final = 4 * 1024 * 1024
MAX_PATH: Final = 63
MAX_RECEIPT_CHARACTERS: Final = MAX_NOTE_BYTES + 6 * 1024 * 1024

_HEAD: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_HEAD_LINES: Final = 3


class Receipt(msgspec.Struct, frozen=True):
    """An entry, its place, its inclusion path and a checkpoint's note; none of it verified.

    Raises:
        EvidenceError: on construction, for what no receipt can hold.
    """

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    note: str

    def __post_init__(self) -> None:
        if not 0 < len(self.entry) <= MAX_ENTRY_BYTES:
            raise EvidenceError(f"a receipt's entry has 1 to {MAX_ENTRY_BYTES} bytes")
        if not 0 <= self.index < MAX_SIZE:
            raise EvidenceError("an index is 0 to 2**63 - 2")
        if len(self.path) > MAX_PATH or any(len(value) != HASH_BYTES for value in self.path):
            raise EvidenceError(f"an inclusion path has at most {MAX_PATH} hashes of 32 bytes")

    def render(self) -> str:
        """Render as the text of a `.tlog-proof` file."""
        lines = (_HEAD, _EXTRA + _encoded(self.entry), f"index {self.index}")
        hashes = (_encoded(value) for value in self.path)
        return "".join([*(f"{line}\n" for line in (*lines, *hashes)), "\n", self.note])


class ReceiptReport(msgspec.Struct, frozen=True):
    """What a verified receipt proves: that the log holds `entry` at `index`, and who vouches for it."""

    entry: bytes
    index: int
    checkpoint: Checkpoint
    cosigned: tuple[Cosigned, ...] = ()


def parse_receipt(text: str) -> Receipt:
    """Parse what `Receipt.render` renders; nothing is verified.

    Raises:
        EvidenceError: it is malformed, over a limit, or holds no entry.
    """
    if len(text) > MAX_RECEIPT_CHARACTERS:
        raise EvidenceError(f"a receipt has at most {MAX_RECEIPT_CHARACTERS} characters")
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != _HEAD:
        raise EvidenceError(f"a receipt begins with {_HEAD!r} and has an empty line")
    if len(lines) < _HEAD_LINES or not lines[1].startswith(_EXTRA):
        raise EvidenceError("a receipt holds its entry as the extra data, then its index")
    index = _INDEX.fullmatch(lines[2])
    if not index:
        raise EvidenceError("the index is a decimal number without leading zeros")
    entry = decode_base64(lines[1].removeprefix(_EXTRA))
    path = tuple(decode_base64(line) for line in lines[_HEAD_LINES:])
    return Receipt(entry, int(index[1]), path, note)


def verify_receipt(
    receipt: Receipt,
    log_key: VerifierKey,
    witnesses: Sequence[WitnessKey] = (),
    quorum: int | None = None,
) -> ReceiptReport:
    """Verify that the log of `log_key` holds the entry, and that witnesses saw its checkpoint.

    Args:
        receipt: as it was parsed.
        log_key: of the log, known from elsewhere.
        witnesses: their keys, known from elsewhere; other cosignatures are not judged.
        quorum: how many of them must have cosigned; `None` for all.

    Raises:
        EvidenceError: it does not verify. Nothing in it may then be believed.
    """
    checkpoint = verify_checkpoint(receipt.note, log_key)
    proof = InclusionProof(receipt.index, checkpoint.size, receipt.path)
    verify_inclusion(leaf_hash(receipt.entry), proof, checkpoint.root)
    needed = len(witnesses) if quorum is None else quorum
    cosigned = require_cosigned(parse_note(receipt.note), witnesses, needed)
    return ReceiptReport(receipt.entry, receipt.index, checkpoint, cosigned)


def _encoded(value: bytes) -> str:
    return b64encode(value).decode()
