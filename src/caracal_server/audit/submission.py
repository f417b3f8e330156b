"""Submitting one checkpoint to one witness, and judging what it answers."""

from dataclasses import dataclass
from typing import Final

from caracal.authority.identifiers import ZoneId
from caracal.evidence.checkpoints import parse_checkpoint
from caracal.evidence.cosignatures import merge_cosignatures
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import SignedNote, parse_note
from caracal.evidence.proofs import consistency_nodes, prove_consistency
from caracal.evidence.witness_keys import Cosigned
from caracal.evidence.witness_policy import PolicyWitness
from caracal.evidence.witness_protocol import AddCheckpoint, Declined, Holds
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceStore
from caracal_server.ports.witnesses import WitnessClient, WitnessUnreachable

TRIES: Final = 3
"""Of one submission: with the size we think it holds, with the one it names, and once more in a race."""
MAX_AHEAD_S: Final = 60
"""How far a witness's clock may be ahead of ours."""

_UNPROCESSABLE: Final = 422
_MEANINGS: Final = {
    400: "it does not understand the request",
    403: "it does not know the key of this log",
    404: "it does not know this log",
}


class NotCosigned(Exception):
    """A witness did not cosign; it may the next time."""


class Contradicted(Exception):
    """A witness saw another history of the log than the one that is here."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What it takes to ask witnesses."""

    store: EvidenceStore
    client: WitnessClient
    clock: Clock

    async def submit(
        self, zone_id: ZoneId, note: str, witness: PolicyWitness, held: int
    ) -> tuple[SignedNote, Cosigned]:
        """Return the note with the witness's cosignature, and when it was made.

        Args:
            zone_id: whose log.
            note: of the log's newest checkpoint.
            witness: whom to ask.
            held: the size that it saw last, as far as is known.

        Raises:
            NotCosigned: it can not be reached, or declines.
            Contradicted: it saw more of this log than there is, or something else.
        """
        parsed = parse_note(note)
        size = parse_checkpoint(parsed.text).size
        old = held if held <= size else 0
        for _ in range(TRIES):
            request = AddCheckpoint(old, await self._proof(zone_id, old, size), note)
            try:
                answer = await self.client.add_checkpoint(witness.url, request.render())
            except WitnessUnreachable as fault:
                raise NotCosigned(str(fault)) from None
            match answer:
                case Holds(named):
                    old = _next_size(named, old, size)
                case Declined(status):
                    raise _declined(status, old)
                case lines:
                    return self._merged(parsed, lines, witness)
        raise NotCosigned("it names another size each time")

    def _merged(
        self, note: SignedNote, lines: tuple[object, ...], witness: PolicyWitness
    ) -> tuple[SignedNote, Cosigned]:
        try:
            merged, cosigned = merge_cosignatures(note, lines, witness.key)  # type: ignore[arg-type]  # by `Answer`
        except EvidenceError as fault:
            raise NotCosigned(str(fault)) from None
        if cosigned.at > self.clock.now().timestamp() + MAX_AHEAD_S:
            raise NotCosigned("its clock is ahead of ours")
        return merged, cosigned

    async def _proof(self, zone_id: ZoneId, old: int, size: int) -> tuple[bytes, ...]:
        places = [(node.level, node.index) for node in consistency_nodes(old, size)]
        nodes = await self.store.nodes(zone_id, places) if places else {}
        try:
            return prove_consistency(old, size, lambda level, at: nodes[level, at]).hashes
        except KeyError:
            raise NotCosigned("the log's own tree is not whole") from None


def _next_size(named: int, old: int, size: int) -> int:
    """The size to prove from, as the witness names it.

    Raises:
        Contradicted: there is no such proof.
    """
    if named > size:
        raise Contradicted(
            f"saw {named} entries of this log, which has signed for {size}: it was rolled back, or "
            "somebody else signs with its key"
        )
    if named == old:
        raise Contradicted(f"saw another tree of {named} entries than this log's")
    return named


def _declined(status: int, old: int) -> NotCosigned | Contradicted:
    if status == _UNPROCESSABLE:
        return Contradicted(f"saw {old} entries of which this log is no continuation")
    return NotCosigned(f"{_MEANINGS.get(status, 'it declines')} ({status})")
