"""What is known of the witnesses, and how long ago a quorum of them cosigned each log."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from caracal.evidence.witness_policy import NONE, WitnessPolicy
from caracal_server.ports.evidence import StoredCheckpoint

BACKOFF_S: Final = 1.0
MAX_BACKOFF_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """What an operator can set about witnesses.

    Attributes:
        required: whether an old quorum turns readiness red, instead of only being shown.
        refusing: whether new decisions are refused then, too.
        stale: how old the quorum may become.
        interval: between two submissions of a log under traffic.
    """

    policy: WitnessPolicy
    required: bool = False
    refusing: bool = False
    stale: timedelta = timedelta(seconds=60)
    interval: timedelta = timedelta(milliseconds=500)

    @property
    def none_needed(self) -> bool:
        return self.policy.quorum == NONE


@dataclass(slots=True)
class Standing:
    """One witness and one log.

    Attributes:
        held: the size that the witness saw last, as far as is known.
        signed: the size that it cosigned last, and when, by its own clock.
        problem: why it did not cosign the last time; empty when it did.
        finding: how it contradicts this log; empty when it does not.
        not_before: by the monotonic clock, when it is asked again after failures.
    """

    held: int = 0
    signed: tuple[int, int] = (0, 0)
    problem: str = ""
    finding: str = ""
    failures: int = 0
    not_before: float = float("-inf")

    def succeeded(self, size: int, at: int) -> None:
        self.held, self.signed = size, (size, at)
        self.problem = self.finding = ""
        self.failures = 0

    def failed(self, problem: str, now: float) -> None:
        self.problem = problem
        self.not_before = now + min(BACKOFF_S * 2 ** min(self.failures, 10), MAX_BACKOFF_S)
        self.failures += 1


@dataclass(slots=True)
class LogStanding:
    """One log.

    Attributes:
        newest: its newest checkpoint, with the cosignatures that it has so far.
        since: in seconds since the epoch, from when it could have been cosigned.
        witnessed: the newest checkpoint that a quorum cosigned.
        at: when that quorum did.
        lost: whether the quorum was too old when that was looked at last.
    """

    newest: StoredCheckpoint
    since: int
    witnessed: StoredCheckpoint | None = None
    at: int | None = None
    lost: bool = False
    witnesses: dict[str, Standing] = field(default_factory=dict)

    def age(self, now: float) -> float:
        """Seconds since a quorum cosigned; where none ever did, since it could have."""
        return max(0.0, now - (self.since if self.at is None else self.at))

    def of(self, witness: str) -> Standing:
        return self.witnesses.setdefault(witness, Standing())
