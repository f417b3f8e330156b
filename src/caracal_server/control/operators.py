"""Operators and their tokens: shown once, kept as hashes, checked in constant time."""

import asyncio
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from caracal.authority.events import Kind
from caracal.authority.outcomes import Reason, Refused
from caracal.tokens import base64url
from caracal.tokens.secret import Secret
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.settings import ControlSettings
from caracal_server.control.token_file import write_token_file
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.operators import OperatorScope, OperatorStore, OperatorToken

PREFIX: Final = "ct_"
ENTROPY_BYTES: Final = 32
FIRST: Final = "first"
EVERY_SCOPE: Final = frozenset(OperatorScope)


@dataclass(frozen=True, slots=True)
class NewOperatorToken:
    """A token as it is kept, and the one time that it is shown."""

    kept: OperatorToken
    token: Secret


class Operators:
    """The operators of this process: loaded at start, and changed here only."""

    __slots__ = ("_acts", "_changing", "_clock", "_entropy", "_settings", "_store", "_tokens")

    def __init__(
        self,
        *,
        store: OperatorStore,
        clock: Clock,
        entropy: Entropy,
        acts: ActLog,
        settings: ControlSettings,
    ) -> None:
        """Take what is needed; nobody is known before `load`."""
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._acts = acts
        self._settings = settings
        self._tokens: tuple[OperatorToken, ...] = ()
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Read the tokens from the store.

        Raises:
            Unavailable: the store can not be read.
        """
        self._tokens = await self._store.tokens()

    async def ensure_first(self, file: Path) -> bool:
        """Make the first token, with every scope, when no token is left that may write.

        The file comes first: a token that was stored and never written down would lock everyone out.

        Returns:
            Whether one was made. `file` then holds it, mode 0600.

        Raises:
            OSError: the file can not be written.
            Unavailable: the token may not have been stored.
        """
        if any(self._may_write(token) for token in self._tokens):
            return False
        name = FIRST
        while self._named(name) is not None:
            name += "-again"
        made = self._make(name, EVERY_SCOPE, None)
        await asyncio.to_thread(write_token_file, file, made.token)
        await self._add(made.kept, Act(actor="caracal up", request=self._entropy.new_id()))
        return True

    def list(self) -> tuple[OperatorToken, ...]:
        return self._tokens

    async def prove(self, token: str) -> OperatorToken | Refused:
        """Find the operator behind a token."""
        return self.prove_digest(_digest(token))

    def prove_digest(self, digest: str) -> OperatorToken | Refused:
        """Find the operator behind the token of this SHA-256, in hexadecimal."""
        found: OperatorToken | None = None
        for kept in self._tokens:
            # Every token is compared: the time tells nothing of which one is near.
            if hmac.compare_digest(kept.token_sha256, digest):
                found = kept
        if found is None:
            return Refused(Reason.OPERATOR_UNKNOWN, "the operator token is not known")
        if found.expires_at is not None and found.expires_at <= self._clock.now():
            return Refused(Reason.OPERATOR_UNKNOWN, "the operator token has expired")
        return found

    async def authenticate(self, token: str, scope: OperatorScope) -> OperatorToken | Refused:
        """Find the operator behind a token that carries a scope."""
        found = await self.prove(token)
        if isinstance(found, Refused):
            return found
        return found if scope in found.scopes else lacks(found, scope)

    async def create(
        self,
        name: str,
        scopes: Iterable[OperatorScope],
        expires_at: datetime | None,
        by: OperatorToken,
        act: Act,
    ) -> NewOperatorToken | Refused:
        """Make a token with no scope that its maker lacks.

        Raises:
            Unavailable: it may not have been recorded or stored.
        """
        async with self._changing:
            refused = self._refuse_new(name, frozenset(scopes), expires_at, by)
            if refused is not None:
                return refused
            made = self._make(name, frozenset(scopes), expires_at)
            await self._add(made.kept, act)
            return made

    def _refuse_new(
        self,
        name: str,
        wanted: frozenset[OperatorScope],
        expires_at: datetime | None,
        by: OperatorToken,
    ) -> Refused | None:
        for scope in sorted(wanted - by.scopes):
            return lacks(by, scope)
        if not wanted:
            return Refused(Reason.REQUEST_MALFORMED, "name at least one scope")
        if expires_at is not None and expires_at <= self._clock.now():
            return Refused(Reason.REQUEST_MALFORMED, "expires_at has passed")
        if self._named(name) is not None:
            return Refused(
                Reason.REQUEST_MALFORMED, f"there is an operator {name}; choose another name"
            )
        if len(self._tokens) >= self._settings.max_operators:
            return Refused(
                Reason.REQUEST_MALFORMED,
                f"there are {self._settings.max_operators} tokens, which is the limit; revoke one",
            )
        return None

    async def revoke(self, token_id: str, act: Act) -> OperatorToken | Refused:
        """End a token at once.

        Raises:
            Unavailable: it may not have been recorded or stored; try again.
        """
        async with self._changing:
            return await self._revoke(token_id, act)

    async def _revoke(self, token_id: str, act: Act) -> OperatorToken | Refused:
        gone = next((token for token in self._tokens if token.id == token_id), None)
        if gone is None:
            return Refused(Reason.REQUEST_MALFORMED, "there is no operator token of that id")
        left = tuple(token for token in self._tokens if token.id != token_id)
        if self._may_write(gone) and not any(self._may_write(token) for token in left):
            return Refused(
                Reason.REQUEST_MALFORMED, "no token would be left that may write; make one first"
            )
        await self._acts.record(
            Kind.OPERATOR_TOKEN,
            self._settings.system_log,
            act,
            target=gone.id,
            detail=f"revoke the operator token {gone.name}",
        )
        await self._store.remove(token_id)
        self._tokens = left
        return gone

    async def _add(self, kept: OperatorToken, act: Act) -> None:
        scopes = " ".join(sorted(kept.scopes))
        await self._acts.record(
            Kind.OPERATOR_TOKEN,
            self._settings.system_log,
            act,
            target=kept.id,
            detail=f"make the operator token {kept.name} with the scopes {scopes}",
        )
        await self._store.add(kept)
        self._tokens = (*self._tokens, kept)

    def _make(
        self, name: str, scopes: frozenset[OperatorScope], expires_at: datetime | None
    ) -> NewOperatorToken:
        entropy = self._entropy.token_bytes(ENTROPY_BYTES)
        token = Secret(PREFIX + base64url.encode(entropy).decode())
        kept = OperatorToken(
            id=self._entropy.new_id(),
            name=name,
            token_sha256=_digest(token.reveal()),
            scopes=scopes,
            created_at=self._clock.now(),
            expires_at=expires_at,
        )
        return NewOperatorToken(kept, token)

    def _named(self, name: str) -> OperatorToken | None:
        return next((token for token in self._tokens if token.name == name), None)

    def _may_write(self, token: OperatorToken) -> bool:
        lasts = token.expires_at is None or token.expires_at > self._clock.now()
        return lasts and OperatorScope.WRITE in token.scopes


def lacks(operator: OperatorToken, scope: OperatorScope) -> Refused:
    return Refused(
        Reason.OPERATOR_SCOPE_MISSING,
        f"the operator token {operator.name} lacks the scope {scope}",
    )


def _digest(token: str) -> str:
    # 256 random bits: there is nothing to guess, so a fast hash will do.
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
