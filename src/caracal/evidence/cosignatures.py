"""Making cosignatures (c2sp.org/tlog-cosignature), and adding those of others to a checkpoint."""

from collections.abc import Iterable

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, Signer
from caracal.evidence.witness_keys import (
    MAX_TIME,
    TIME_BYTES,
    Cosigned,
    WitnessKey,
    cosigned_message,
    verified_time,
)


def cosign(text: str, key: WitnessKey, signer: Signer, at: int) -> NoteSignature:
    """Sign a checkpoint's text as a witness, and verify the signature before it leaves.

    Whoever calls this promises that it has stored the checkpoint as the newest it saw of this log, and
    that it has held it to the one before.

    Args:
        text: of the checkpoint, without any signature.
        key: the witness's.
        signer: signs for `key`.
        at: the time, in seconds since the epoch.

    Raises:
        EvidenceError: the text or the time can not be signed, or `signer` does not sign for `key`.
    """
    if not 0 < at <= MAX_TIME:
        raise EvidenceError("a cosignature's time is 1 to 2**63 - 1 seconds")
    signature = at.to_bytes(TIME_BYTES, "big") + signer(cosigned_message(text, at))
    line = NoteSignature(key.name, key.key_id, signature)
    verified_time(SignedNote(text, (line,)).text, line, key)
    return line


def merge_cosignatures(
    note: SignedNote, offered: Iterable[NoteSignature], key: WitnessKey
) -> tuple[SignedNote, Cosigned]:
    """Take what the witness `key` signed for a note; its newest signature replaces those before.

    Returns:
        The note with one line by this witness, and when that was signed.

    Raises:
        EvidenceError: nothing offered is by this witness, or something that says so does not verify.
    """
    lines = [line for line in offered if key.signed(line)]
    if not lines:
        raise EvidenceError(f"no cosignature by {key.name!r} is among them")
    held = [line for line in note.signatures if key.signed(line)]
    others = tuple(line for line in note.signatures if not key.signed(line))
    newest, at = max(
        ((line, verified_time(note.text, line, key)) for line in (*held, *lines)),
        key=lambda one: one[1],
    )
    return SignedNote(note.text, (*others, newest)), Cosigned(key.name, at)
