"""Verifiers: a request's token in, a principal or a refusal out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Unpack

from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.verify import clock
from caracal.verify.bearer import bearer_token
from caracal.verify.decision import decide, key_needed
from caracal.verify.principal import Principal
from caracal.verify.published_keys import AsyncPublishedKeys, PublishedKeys
from caracal.verify.refusals import Code, NotVerified
from caracal.verify.requirements import Expected, Requirements, Settings
from caracal.verify.revocations import Revocations


@dataclass(frozen=True, slots=True)
class _Rules:
    """What both kinds of verifier hold and decide by."""

    expected: Expected
    requirements: Requirements
    revocations: Revocations
    now: Callable[[], datetime]

    @classmethod
    def of(
        cls,
        trust: tuple[str, str, str],
        revocations: Revocations,
        now: Callable[[], datetime],
        settings: Settings,
    ) -> "_Rules":
        if not callable(getattr(revocations, "standing", None)):
            raise TypeError("revocations: a view of them, or UNTIL_EXPIRY to do without")
        return cls(Expected.of(*trust), Requirements.of(**settings), revocations, now)

    def tightened(self, settings: Settings) -> "_Rules":
        return replace(self, requirements=self.requirements.tightened(**settings))

    def key_needed(self, token: RawToken) -> str:
        return key_needed(token, self.expected, self.requirements)

    def decide(self, token: RawToken, keys: KeySet) -> Principal:
        return decide(
            token,
            keys=keys,
            expected=self.expected,
            requirements=self.requirements,
            revocations=self.revocations,
            now=self.now(),
        )


class Verifier:
    """Verifies mandates; threads may share it.

    Raises:
        TypeError: for a setting that is not known.
        ValueError: for one that can not be right.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        zone_id: str,
        revocations: Revocations,
        keys: PublishedKeys | None = None,
        now: Callable[[], datetime] = clock.utc_now,
        **settings: Unpack[Settings],
    ) -> None:
        self._rules = _Rules.of((issuer, audience, zone_id), revocations, now, settings)
        self._keys = keys or PublishedKeys(self._rules.expected)

    @property
    def expected(self) -> Expected:
        return self._rules.expected

    @property
    def requirements(self) -> Requirements:
        return self._rules.requirements

    def require(self, **settings: Unpack[Settings]) -> "Verifier":
        """One that asks this on top, over the same keys and revocations.

        Raises:
            TypeError, ValueError: as when it is made.
        """
        tighter = object.__new__(Verifier)
        tighter._rules, tighter._keys = self._rules.tightened(settings), self._keys
        return tighter

    def verify(self, token: str | bytes) -> Principal:
        """Who the token proves the caller to be.

        Raises:
            NotVerified: it proves nothing that counts here.
        """
        raw = _raw(token)
        return self._rules.decide(raw, self._keys.keys(self._rules.key_needed(raw)))

    def authorize(self, header: str | bytes | None) -> Principal:
        """As `verify`, for the value of the one Authorization header."""
        return self.verify(bearer_token(_values(header)))


class AsyncVerifier:
    """As `Verifier`, for one event loop at a time."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        zone_id: str,
        revocations: Revocations,
        keys: AsyncPublishedKeys | None = None,
        now: Callable[[], datetime] = clock.utc_now,
        **settings: Unpack[Settings],
    ) -> None:
        self._rules = _Rules.of((issuer, audience, zone_id), revocations, now, settings)
        self._keys = keys or AsyncPublishedKeys(self._rules.expected)

    @property
    def expected(self) -> Expected:
        return self._rules.expected

    @property
    def requirements(self) -> Requirements:
        return self._rules.requirements

    def require(self, **settings: Unpack[Settings]) -> "AsyncVerifier":
        """As `Verifier.require`."""
        tighter = object.__new__(AsyncVerifier)
        tighter._rules, tighter._keys = self._rules.tightened(settings), self._keys
        return tighter

    async def verify(self, token: str | bytes) -> Principal:
        """As `Verifier.verify`."""
        raw = _raw(token)
        return self._rules.decide(raw, await self._keys.keys(self._rules.key_needed(raw)))

    async def authorize(self, header: str | bytes | None) -> Principal:
        """As `Verifier.authorize`."""
        return await self.verify(bearer_token(_values(header)))


def _raw(token: str | bytes) -> RawToken:
    raw = token.encode("utf-8", "replace") if isinstance(token, str) else token
    if not raw:
        raise NotVerified(Code.MISSING_TOKEN)
    return RawToken(raw)


def _values(header: str | bytes | None) -> tuple[bytes, ...]:
    if header is None:
        return ()
    return (header.encode("utf-8", "replace") if isinstance(header, str) else header,)
