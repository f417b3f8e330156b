"""Operators and their tokens."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class OperatorScope(StrEnum):
    READ = "read"
    WRITE = "write"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """A token as kept: only its SHA-256 is."""

    id: str
    name: str
    token_sha256: str
    scopes: frozenset[OperatorScope]
    created_at: datetime
    expires_at: datetime | None


class OperatorStore(Protocol):
    async def tokens(self) -> tuple[OperatorToken, ...]: ...

    async def add(self, token: OperatorToken) -> None: ...

    async def remove(self, token_id: str) -> bool: ...
