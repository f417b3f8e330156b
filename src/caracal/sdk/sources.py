"""Whose authority a transport uses: that of an open session, or of a session of its own."""

import asyncio
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from caracal.sdk.acting import renewed
from caracal.sdk.engine import AsyncEngine, Engine
from caracal.sdk.opening import Opened, Outer, closed, end_session
from caracal.sdk.options import Plan
from caracal.sdk.standing import Authority
from caracal.wire.calls.gateway import CALL


class AuthoritySource(Protocol):
    """Whose authority a transport uses."""

    def current(self) -> Authority: ...

    def close(self) -> None: ...


class AsyncAuthoritySource(Protocol):
    """The same, with waiting."""

    async def current(self) -> Authority: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Bound:
    """The authority of a session that somebody else opened, and ends."""

    authority: Authority

    def current(self) -> Authority:
        return self.authority

    def close(self) -> None:
        """Leave the session as it is."""


@dataclass(frozen=True, slots=True)
class AsyncBound:
    authority: Authority

    async def current(self) -> Authority:
        return self.authority

    async def aclose(self) -> None:
        """Leave the session as it is."""


@dataclass(slots=True)
class Own:
    """A session of the transport's own: opened with the first request, renewed, ended with it."""

    engine: Engine
    plan: Plan
    outer: Outer | None
    _opened: Opened | None = None
    _lock: Lock = field(default_factory=Lock)

    def current(self) -> Authority:
        with self._lock:
            caller = self.engine.caller
            self._opened = self.engine.run(renewed(caller, self.plan, self.outer, self._opened))
            return held(self._opened)

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.standing.lose(closed(CALL))
                trace = opened.standing.trace
                self.engine.run(end_session(self.engine.caller, opened.end, trace))


@dataclass(slots=True)
class AsyncOwn:
    engine: AsyncEngine
    plan: Plan
    outer: Outer | None
    _opened: Opened | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self) -> Authority:
        async with self._lock:
            caller = self.engine.caller
            flow = renewed(caller, self.plan, self.outer, self._opened)
            self._opened = await self.engine.run(flow)
            return held(self._opened)

    async def aclose(self) -> None:
        async with self._lock:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.standing.lose(closed(CALL))
                trace = opened.standing.trace
                await self.engine.run(end_session(self.engine.caller, opened.end, trace))


def held(opened: Opened) -> Authority:
    """What a session that was opened for a transport holds."""
    if opened.delegation is None:
        raise AssertionError("a transport's session is opened with scopes")
    return Authority(opened.standing, opened.delegation)
