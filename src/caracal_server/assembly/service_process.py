"""`caracal serve SERVICE`: one service as a process. What all five have in common."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from caracal.authority.events import Entry
from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.assembly.data_directory import DataDirectory
from caracal_server.assembly.environment import environment
from caracal_server.assembly.garbage import settle_memory
from caracal_server.assembly.held_back import HeldBack
from caracal_server.assembly.installed import (
    installed,
    log_installation,
    require_installation,
)
from caracal_server.assembly.listeners import Listener
from caracal_server.assembly.logs import configure_logs
from caracal_server.assembly.peering import Peering, peer_certificate
from caracal_server.assembly.settings import (
    PEER_SETTINGS,
    PREFIX,
    SETTINGS,
    SettingInvalid,
    read_settings,
)
from caracal_server.assembly.start_entry import start_entry
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.asgi import Application
from caracal_server.web.health import Check, Readiness, health_routes
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.services import Service
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge

RETRY_SECONDS: Final = 0.2

_log = structlog.get_logger("caracal.service")


@dataclass(frozen=True, slots=True)
class ServiceReady:
    """A service that listens: where, and with whose keys."""

    service: Service
    listen: str
    peer_listen: str | None
    data: Path
    pid: int


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the command line says.

    Attributes:
        listen, peer_listen: host and port; port 0 takes a free one. The Gateway has no peer listener.
        announce: is called once the listeners accept connections.
    """

    service: Service
    data: Path
    listen: tuple[str, int]
    peer_listen: tuple[str, int] | None
    database: str | None
    announce: Callable[[ServiceReady], None]


@dataclass(slots=True)
class Ground:
    """What a service is built on.

    Attributes:
        checks: what `/ready` asks; a service adds its own while it is built.
        notices: what `/ready` reports besides.
    """

    directory: DataDirectory
    settings: dict[str, Any]
    database: str
    clock: SystemClock
    entropy: SystemEntropy
    peering: Peering
    checks: dict[str, Check]
    notices: dict[str, Check]
    readiness: Readiness
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    @property
    def issuer(self) -> str:
        text: str = self.settings["ISSUER"]
        return text


async def _nothing() -> None:
    """Nothing waits for peers."""


@dataclass(frozen=True, slots=True)
class Built:
    """A service, ready to be listened for.

    Attributes:
        app: the public listener's.
        zones: those whose policies it decides by; `None` if it decides by none.
        answers: what peers may ask.
        begin: what needs peers; tried again until it is done. Until then public requests get 503.
        begin_draining: is called before the public listener drains.
    """

    app: Application
    evidence: EvidenceLog
    zones: ZoneDirectory | None = None
    answers: tuple[Answer, ...] = ()
    begin: Callable[[], Awaitable[None]] = _nothing
    begin_draining: Callable[[], None] | None = None


class Beginning:
    """Does what needs peers, as often as it takes. A check of readiness."""

    def __init__(self, ground: Ground, built: Built) -> None:
        self._ground = ground
        self._built = built
        self._why: str | None = "has not begun"

    @property
    def done(self) -> bool:
        return self._why is None

    def check(self) -> str | None:
        return self._why

    def _entry(self) -> Entry:
        zones = self._built.zones
        return start_entry(
            self._ground.clock,
            self._ground.peering.instance,
            self._ground.settings,
            f"caracal {self._ground.peering.service}",
            None if zones is None else zones.zones(),
        )

    async def run(self) -> None:
        """Return once the service serves."""
        begun = False
        while not self.done:
            try:
                if not begun:
                    await self._built.begin()
                    begun = True
                await self._built.evidence.append(self._entry())
            except Unavailable as fault:
                if self._why != fault.detail:
                    _log.warning("waits_for_peer", why=fault.detail)
                self._why = fault.detail
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._why = None


def run(options: ServiceOptions) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code.

    Raises:
        SettingInvalid, KeyFileError, DatabaseInUse, Unavailable, OSError: it could not start.
    """
    uvloop.run(_serve(options))
    return 0


async def _serve(options: ServiceOptions) -> None:
    settings = read_settings(environment(), (*SETTINGS, *PEER_SETTINGS))
    if not settings["ISSUER"]:
        raise SettingInvalid(f"{PREFIX}ISSUER must be set, to the same for all services")
    configure_logs(settings["LOG_FORMAT"])
    require_installation(settings, installed())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(options, settings) as beginning:
        log_installation(installed())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait((waiting, beginning), return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            await beginning
            await waiting


@contextlib.asynccontextmanager
async def serving(
    options: ServiceOptions, settings: dict[str, Any]
) -> AsyncIterator[asyncio.Task[None]]:
    """Start a service; on leaving, drain it."""
    async with contextlib.AsyncExitStack() as stack:
        public, peers, certificate = _bind(stack, options.listen), None, None
        if options.peer_listen is not None:
            peers = _bind(stack, options.peer_listen)
            certificate = peer_certificate(settings, options.peer_listen[0])
        ground = _ground(options, settings)
        stack.push_async_callback(ground.peering.aclose)
        build = import_module(f"caracal_server.assembly.{options.service}_service").build
        built: Built = await build(ground, stack)
        stack.push_async_callback(ground.peering.leave)
        beginning = Beginning(ground, built)
        ground.checks["started"] = beginning.check
        bounds = {
            "drain_seconds": settings["DRAIN_SECONDS"],
            "unread": settings["IDLE_TIMEOUT_SECONDS"],
        }
        if peers is not None:
            await peers.start(ground.peering.gate(built.answers), tls=certificate, **bounds)
            stack.push_async_callback(peers.drain)
        await public.start(_public(options.service, ground, built, beginning), **bounds)
        stack.push_async_callback(public.drain)
        if built.begin_draining is not None:
            stack.callback(built.begin_draining)
        ground.peering.start()
        task = asyncio.create_task(beginning.run())
        stack.callback(task.cancel)
        settle_memory()
        options.announce(
            ServiceReady(
                options.service,
                f"http://{public.address}",
                _peer_url(peers, settings),
                ground.directory.root.absolute(),
                os.getpid(),
            )
        )
        yield task


def _public(service: Service, ground: Ground, built: Built, beginning: Beginning) -> Application:
    """The public application; the Gateway's answers health checks itself, as it has to tell calls apart."""
    if service is Service.GATEWAY:
        return built.app
    health = Edge(
        health_routes(ground.readiness, ground.registry),
        refuse=render_problem_details,
        entropy=ground.entropy,
    )
    return HeldBack(built.app, health, lambda: beginning.done, ground.entropy)


def _bind(stack: contextlib.AsyncExitStack, address: tuple[str, int]) -> Listener:
    listener = Listener.bind(*address)
    stack.callback(listener.socket.close)
    return listener


def _peer_url(peers: Listener | None, settings: dict[str, Any]) -> str | None:
    if peers is None:
        return None
    scheme = "http" if settings["PEER_TLS_CERTIFICATE_FILE"] is None else "https"
    return f"{scheme}://{peers.address}"


def _ground(options: ServiceOptions, settings: dict[str, Any]) -> Ground:
    directory = DataDirectory(options.data)
    clock, entropy = SystemClock(), SystemEntropy()
    checks: dict[str, Check] = {}
    notices: dict[str, Check] = {}
    return Ground(
        directory=directory,
        settings=settings,
        database=directory.database(options.database, settings["DATABASE_FILE"]),
        clock=clock,
        entropy=entropy,
        peering=Peering(options.service, directory, settings, clock, entropy),
        checks=checks,
        notices=notices,
        readiness=Readiness(checks, notices),
    )
