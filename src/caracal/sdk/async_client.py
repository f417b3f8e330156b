"""`AsyncCaracal`: an application's client, for asyncio; the twin of `client.py`."""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from caracal.authority.sessions import Lifecycle
from caracal.evidence.receipts import Receipt
from caracal.sdk import surroundings
from caracal.sdk.acting import WantedMandate, fetch_receipt, sign_in
from caracal.sdk.async_session import AsyncSession, ending, opened
from caracal.sdk.configuration import Configuration
from caracal.sdk.engine import AsyncEngine
from caracal.sdk.granting import governed
from caracal.sdk.heartbeats import AsyncHeartbeats, WhenLost
from caracal.sdk.nesting import entered, innermost
from caracal.sdk.opening import Outer, open_session, take_over
from caracal.sdk.options import TRANSPORT_TTL, SessionOptions, plan_session, plan_transport
from caracal.sdk.profiles import read_environment, read_profile
from caracal.sdk.sources import AsyncOwn
from caracal.sdk.standing import Standing
from caracal.sdk.transport import AsyncGovernedTransport
from caracal.wire.calls.tokens import SignedInUser
from caracal.wire.trace_context import TraceContext


class AsyncCaracal:
    """Acts as one application, in one event loop. `aclose` it, or use `async with`."""

    def __init__(self, configuration: Configuration, *, tls: ssl.SSLContext | None = None) -> None:
        self._engine = AsyncEngine(configuration, tls)

    @classmethod
    def from_env(
        cls, environment: Mapping[str, str] | None = None, *, tls: ssl.SSLContext | None = None
    ) -> Self:
        """From the `CARACAL_*` variables, of the process unless others are given.

        Raises:
            InvalidConfiguration: with everything that is wrong.
        """
        found = surroundings.environment() if environment is None else environment
        return cls(read_environment(found), tls=tls)

    @classmethod
    def from_profile(cls, path: str | PathLike[str], *, tls: ssl.SSLContext | None = None) -> Self:
        """From a TOML profile.

        Raises:
            InvalidConfiguration: with everything that is wrong.
        """
        return cls(read_profile(Path(path)), tls=tls)

    @property
    def configuration(self) -> Configuration:
        return self._engine.configuration

    def session(
        self, **options: Unpack[SessionOptions]
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a task for an `async with` block: inside the session of the block around it, if any."""
        return opened(self._engine, options, self._outer())

    @asynccontextmanager
    async def service(
        self,
        *,
        heartbeat_every: timedelta | None = None,
        when_lost: WhenLost | None = None,
        keep: bool = False,
        **options: Unpack[SessionOptions],
    ) -> AsyncIterator[AsyncSession]:
        """Open a service, which lives as long as heartbeats renew its lease; a task sends them.

        Args:
            heartbeat_every: a third of what is left of the lease when it is left out.
            when_lost: is called in that task when the lease is lost; calls are refused from then on.
            keep: leave it alive after the block, for another process to `attach` to.
            options: labels, metadata, trace and idempotency_key.
        """
        engine = self._engine
        plan = plan_session(options, Lifecycle.SERVICE, None)
        made = await engine.run(open_session(engine.caller, plan, self._outer()))
        async with self._kept_alive(
            made.standing, heartbeat_every, when_lost, keep=keep
        ) as session:
            yield session

    @asynccontextmanager
    async def attach(
        self,
        session_id: str,
        *,
        heartbeat_every: timedelta | None = None,
        when_lost: WhenLost | None = None,
        keep: bool = False,
        trace: TraceContext | None = None,
    ) -> AsyncIterator[AsyncSession]:
        """Take a service over from whoever holds its lease. It holds nothing until it accepts again."""
        engine = self._engine
        standing = await engine.run(take_over(engine.caller, session_id, trace))
        async with self._kept_alive(standing, heartbeat_every, when_lost, keep=keep) as session:
            yield session

    def transport(
        self,
        resource: str,
        *,
        scopes: Iterable[str],
        ttl: timedelta = TRANSPORT_TTL,
        labels: Iterable[str] = (),
        upstream_prefix: str | None = None,
        receipts: list[str] | None = None,
    ) -> AsyncGovernedTransport:
        """A transport for httpx with a session of its own, which holds these scopes and ends with it.

        The session is opened with the first request, inside that of the block around this call, and
        opened anew before its ttl has passed.
        """
        wanted = WantedMandate.of(None, resource, scopes)
        plan = plan_transport(wanted.scopes, resource, ttl, labels)
        what = governed(self.configuration, wanted, upstream_prefix, receipts)
        return AsyncGovernedTransport(
            self._engine, what, AsyncOwn(self._engine, plan, self._outer())
        )

    async def sign_in(self, id_token: str, *, lifetime: timedelta | None = None) -> SignedInUser:
        """Trade a user's ID token for proof to open sessions with; it is accepted once.

        Raises:
            CaracalError: it is not accepted.
        """
        return await self._engine.run(sign_in(self._engine.caller, id_token, lifetime))

    async def receipt(self, reference: str, *, witnessed: bool = False) -> Receipt:
        """Fetch the proof that a `Caracal-Receipt` refers to; `caracal.evidence.receipts` verifies it.

        Raises:
            CaracalError: there is none, or none yet.
        """
        flow = fetch_receipt(self._engine.caller, reference, witnessed=witnessed)
        return await self._engine.run(flow)

    async def aclose(self) -> None:
        """Close the connections. Sessions are ended by their own blocks."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncCaracal(application_id={self.configuration.application_id!r})"

    def _outer(self) -> Outer | None:
        session = innermost(self._engine, AsyncSession)
        return None if session is None else Outer(session.standing, session.delegation)

    @asynccontextmanager
    async def _kept_alive(
        self,
        standing: Standing,
        every: timedelta | None,
        when_lost: WhenLost | None,
        *,
        keep: bool,
    ) -> AsyncIterator[AsyncSession]:
        session = AsyncSession(self._engine, standing)
        async with nullcontext() if keep else ending(session, standing):
            beats = AsyncHeartbeats(self._engine, standing, every, when_lost)
            beats.start()
            try:
                with entered(session):
                    yield session
            finally:
                await beats.stop()
