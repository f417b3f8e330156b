"""Asking a witness to cosign a checkpoint."""

from typing import Protocol

from caracal.evidence.witness_protocol import Answer


class WitnessUnreachable(Exception):
    """A witness did not answer, or not as witnesses do."""


class WitnessClient(Protocol):
    """Carries requests to witnesses, within bounds of time and size."""

    async def add_checkpoint(self, prefix: str, body: str) -> Answer:
        """Post a request under a witness's submission prefix, once.

        Raises:
            WitnessUnreachable: there is no answer that could be used.
        """
        ...
