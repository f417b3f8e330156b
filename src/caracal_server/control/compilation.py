"""Compiling a zone's policy beside the event loop, one at a time."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from caracal.authority.policy.cedar_text import CedarText
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.schema import PolicyVocabulary
from caracal_server.control.document_faults import Fault, ZoneDocumentInvalid

MAX_POLICIES: Final = 2_000


@dataclass(frozen=True, slots=True)
class PolicyCompilation:
    """Compiles in a worker thread, so that nobody else waits for a large policy."""

    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def __call__(self, text: str, vocabulary: PolicyVocabulary) -> PolicyEngine:
        """Validate a text for a zone and compile it.

        Raises:
            ZoneDocumentInvalid: it holds too many policies.
            PolicyInvalid: it does not fit the zone.
        """
        # A thread can not be stopped: whoever goes away leaves the turn with it until it is done.
        return await asyncio.shield(asyncio.create_task(self._in_turn(text, vocabulary)))

    async def _in_turn(self, text: str, vocabulary: PolicyVocabulary) -> PolicyEngine:
        async with self._turn:
            return await asyncio.to_thread(_compile, text, vocabulary)


def _compile(text: str, vocabulary: PolicyVocabulary) -> PolicyEngine:
    count = sum(1 for _ in CedarText(text).statements())
    if count > MAX_POLICIES:
        message = (
            f"has {count} policies; at most {MAX_POLICIES} are allowed, so let one policy name several "
            "applications, scopes or resources"
        )
        raise ZoneDocumentInvalid((Fault(("policy",), message),))
    return PolicyEngine.compile(text, vocabulary)
