"""The one decision of a witness: whether a checkpoint continues what it saw of this log before."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from caracal.evidence.checkpoints import Checkpoint, parse_checkpoint, verify_checkpoint_by_any
from caracal.evidence.cosignatures import cosign
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import Signer, VerifierKey, parse_note, parse_verifier_key
from caracal.evidence.proofs import ConsistencyProof, verify_consistency
from caracal.evidence.tree import EMPTY_ROOT
from caracal.evidence.witness_keys import WitnessKey
from caracal.evidence.witness_protocol import (
    CONFLICT,
    OK,
    SIZE_TYPE,
    AddCheckpoint,
    parse_add_checkpoint,
)
from caracal_server.witness.state import WitnessState

BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
UNPROCESSABLE: Final = 422
UNAVAILABLE: Final = 503

_TEXT: Final = "text/plain; charset=utf-8"
_log = structlog.get_logger("caracal.witness")

KnownLogs = Mapping[str, tuple[VerifierKey, ...]]
"""The keys of the logs that are witnessed, by origin."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is answered."""

    status: int
    text: str
    content_type: str = _TEXT


class _Refused(Exception):
    def __init__(self, said: Said, *, unlike: bool = False, proven: bool = False) -> None:
        super().__init__(said.text)
        self.said = said
        self.unlike = unlike
        self.proven = proven


@dataclass(slots=True)
class Witness:
    """Answers one request at a time for each log."""

    logs: KnownLogs
    key: WitnessKey
    sign: Signer = field(repr=False)
    state: WitnessState
    now: Callable[[], int]
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict, init=False)

    async def add_checkpoint(self, body: str) -> Said:
        """Cosign a checkpoint that continues the one before, once it is stored; else say why not."""
        try:
            request = parse_add_checkpoint(body)
            note = parse_note(request.note)
            origin = parse_checkpoint(note.text).origin
        except EvidenceError as fault:
            return Said(BAD_REQUEST, f"{fault}\n")
        keys = self.logs.get(origin)
        if keys is None:
            return Said(NOT_FOUND, "this log is not witnessed here\n")
        try:
            checkpoint = verify_checkpoint_by_any(request.note, keys)
        except EvidenceError as fault:
            return Said(FORBIDDEN, f"{fault}\n")
        # Whoever asked may be gone: a turn that has begun is finished all the same.
        return await asyncio.shield(self._in_turn(request, checkpoint, body))

    async def _in_turn(self, request: AddCheckpoint, checkpoint: Checkpoint, body: str) -> Said:
        async with self._turns.setdefault(checkpoint.origin, asyncio.Lock()):
            return await self._decide(request, checkpoint, body)

    async def _decide(self, request: AddCheckpoint, checkpoint: Checkpoint, body: str) -> Said:
        latest = self.state.latest(checkpoint.origin)
        try:
            _require_continues(request, checkpoint, latest)
            if latest is None or latest.size < checkpoint.size:
                await asyncio.to_thread(self.state.store, checkpoint, request.note)
        except _Refused as fault:
            if fault.unlike:
                await self._report(checkpoint, latest, body, proven=fault.proven)
            return fault.said
        except OSError as fault:
            _log.error("witness_state_not_stored", error=fault.strerror)
            return Said(UNAVAILABLE, "the checkpoint could not be stored\n")
        line = cosign(checkpoint.render(), self.key, self.sign, self.now())
        return Said(OK, f"{line.render()}\n")

    async def _report(
        self, checkpoint: Checkpoint, latest: Checkpoint | None, body: str, *, proven: bool
    ) -> None:
        _log.error(
            "log_contradicts_itself" if proven else "log_not_shown_to_continue",
            origin=checkpoint.origin,
            size=checkpoint.size,
            seen=0 if latest is None else latest.size,
        )
        try:
            await asyncio.to_thread(self.state.keep_refused, checkpoint.origin, body, proven=proven)
        except OSError as fault:
            _log.error("refused_request_not_kept", error=fault.strerror)


def _require_continues(
    request: AddCheckpoint, checkpoint: Checkpoint, latest: Checkpoint | None
) -> None:
    size, root = (0, EMPTY_ROOT) if latest is None else (latest.size, latest.root)
    if request.old_size > checkpoint.size:
        raise _Refused(Said(BAD_REQUEST, "the old size is larger than the checkpoint's\n"))
    if request.old_size != size:
        raise _Refused(Said(CONFLICT, f"{size}\n", SIZE_TYPE))
    if checkpoint.size == 0:
        raise _Refused(Said(UNPROCESSABLE, "an empty log has no history to vouch for\n"))
    if checkpoint.size == size and checkpoint.root != root:
        raise _Refused(Said(CONFLICT, f"{size}\n", SIZE_TYPE), unlike=True, proven=True)
    try:
        proof = ConsistencyProof(size, checkpoint.size, request.proof)
        verify_consistency(proof, root, checkpoint.root)
    except EvidenceError as fault:
        raise _Refused(Said(UNPROCESSABLE, f"{fault}\n"), unlike=True) from None


def known_logs(lines: Iterable[str]) -> KnownLogs:
    """Read verifier keys, one a line; empty lines and those that begin with `#` are passed over.

    Raises:
        EvidenceError: a line is no key; it says which.
    """
    found: dict[str, tuple[VerifierKey, ...]] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = parse_verifier_key(text)
        except EvidenceError as fault:
            raise EvidenceError(f"line {number}: {fault}") from None
        found[key.name] = (*found.get(key.name, ()), key)
    return found
