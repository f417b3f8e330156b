"""`caracal up`: all services in one process."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from caracal.authority.mandates import MAX_RESOURCE_LIFETIME
from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.memory.single_use import SingleUseInMemory
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sql.database import Database, open_database
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.assembly.data_directory import DataDirectory, ServerFile
from caracal_server.assembly.edges import make_control_side
from caracal_server.assembly.environment import environment
from caracal_server.assembly.garbage import settle_memory
from caracal_server.assembly.gateway_edge import GatewayParts, make_gateway, make_upstream
from caracal_server.assembly.installed import (
    installed,
    log_installation,
    require_installation,
)
from caracal_server.assembly.listeners import Listener
from caracal_server.assembly.logs import configure_logs
from caracal_server.assembly.parts import (
    Administration,
    Foundations,
    make_administration,
    make_coordinator_service,
    make_operators,
)
from caracal_server.assembly.revocation_streams import (
    CHECK,
    publish_revocations,
    show_revocations,
)
from caracal_server.assembly.running import run_until_left
from caracal_server.assembly.settings import read_settings
from caracal_server.assembly.start_entry import start_entry
from caracal_server.assembly.sts_edge import StsParts, make_sts
from caracal_server.assembly.witnesses import witnesses
from caracal_server.coordinator.client_sessions import OpenClientSession
from caracal_server.gateway.http import GatewayApp
from caracal_server.sts.exchange import MintForResource
from caracal_server.web.health import Readiness


@dataclass(frozen=True, slots=True)
class Ready:
    """A process that serves: where, and whose data."""

    control: str
    gateway: str
    operator_token_file: Path
    data: Path
    pid: int


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says.

    Attributes:
        control, gateway: host and port to listen on; port 0 takes a free one.
        database: a database URL; the embedded store in `data` when `None`.
        announce: is called once everything answers.
    """

    data: Path
    control: tuple[str, int]
    gateway: tuple[str, int]
    database: str | None
    announce: Callable[[Ready], None]


def run(options: UpOptions) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code.

    Raises:
        SettingInvalid, KeyFileError, DatabaseInUse, Unavailable, OSError: it could not start.
    """
    uvloop.run(_serve(options))
    return 0


async def _serve(options: UpOptions) -> None:
    settings = read_settings(environment())
    configure_logs(settings["LOG_FORMAT"])
    require_installation(settings, installed())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(options, settings):
        log_installation(installed())
        await stop.wait()


@contextlib.asynccontextmanager
async def serving(options: UpOptions, settings: dict[str, Any]) -> AsyncIterator[Ready]:
    """Start everything, in order; on leaving, drain everything, in the other order."""
    async with contextlib.AsyncExitStack() as stack:
        directory = DataDirectory(options.data)
        directory.create()
        control, gateway = Listener.bind(*options.control), Listener.bind(*options.gateway)
        stack.callback(control.socket.close)
        stack.callback(gateway.socket.close)
        entropy = SystemEntropy()
        url = directory.database(options.database, settings["DATABASE_FILE"])
        database = await open_database(url)
        stack.push_async_callback(database.close)
        await migrate(database)
        base = await _foundations(stack, database, directory, entropy, settings)
        await base.audit.start()
        stack.push_async_callback(base.audit.close)
        issuer = settings["ISSUER"] or f"http://{control.address}"
        reached = settings["GATEWAY_URL"] or f"http://{gateway.address}"
        apps = await _applications(stack, base, directory, settings, (issuer, reached))
        await _record_start(base, settings)
        bounds = {
            "drain_seconds": settings["DRAIN_SECONDS"],
            "unread": settings["IDLE_TIMEOUT_SECONDS"],
        }
        await control.start(apps.control, **bounds)
        stack.push_async_callback(control.drain)
        stack.callback(apps.stop_listeners)
        await gateway.start(apps.gateway, **bounds)
        stack.push_async_callback(gateway.drain)
        stack.callback(apps.gateway.begin_draining)
        ready = Ready(
            control=f"http://{control.address}",
            gateway=f"http://{gateway.address}",
            operator_token_file=directory.operator_token.absolute(),
            data=directory.root.absolute(),
            pid=os.getpid(),
        )
        directory.announce(
            ServerFile(ready.control, ready.gateway, str(ready.operator_token_file),
                       str(ready.data), ready.pid)
        )  # fmt: skip
        stack.callback(directory.withdraw)
        settle_memory()
        options.announce(ready)
        yield ready


@dataclass(frozen=True, slots=True)
class _Applications:
    control: Any
    gateway: GatewayApp
    stop_listeners: Callable[[], None]


async def _foundations(
    stack: contextlib.AsyncExitStack,
    database: Database,
    directory: DataDirectory,
    entropy: SystemEntropy,
    settings: dict[str, Any],
) -> Foundations:
    return await Foundations.lay(
        clock=SystemClock(),
        entropy=entropy,
        database=database,
        ring=KeyRing(directory.keys, entropy),
        log_origin=settings["LOG_ORIGIN"] or directory.log_origin(entropy),
        settings=settings,
        witnesses=witnesses(settings, stack),
    )


async def _applications(
    stack: contextlib.AsyncExitStack,
    base: Foundations,
    directory: DataDirectory,
    settings: dict[str, Any],
    urls: tuple[str, str],
) -> _Applications:
    issuer, reached = urls
    registry = CollectorRegistry()
    base.audit.register(registry)
    kept = make_operators(base)
    operators = kept[2]
    await operators.load()
    await operators.ensure_first(directory.operator_token)
    coordinator = make_coordinator_service(base, operators, issuer)
    stack.push_async_callback(coordinator.close)
    stack.push_async_callback(run_until_left(coordinator.sweeper.run()))
    stack.push_async_callback(run_until_left(coordinator.desk.run()))
    argon2 = Argon2Secrets(base.clock, base.entropy)
    stack.callback(argon2.close)
    administration = make_administration(base, coordinator, kept, argon2)
    upstream = make_upstream(settings)
    stack.push_async_callback(upstream.aclose)
    publisher = publish_revocations(settings, coordinator, base.clock, stack)
    show_revocations(registry, coordinator, publisher)
    readiness = Readiness(
        base.audit.checks() | {"changes_stored": coordinator.commitment.check},
        {} if publisher is None else {CHECK: publisher.check},
    )
    sts_parts = _sts_parts(base, argon2, coordinator.client_sessions)
    sts = make_sts(sts_parts, settings, issuer, reached, registry, stack)
    parts = _gateway_parts(base, administration)
    gateway = make_gateway(parts, upstream, settings, (issuer, reached), readiness, registry)
    stack.push_async_callback(gateway.enforcement.definitions.aclose)
    return _Applications(
        control=make_control_side(base, sts, coordinator, administration, readiness, registry),
        gateway=gateway,
        stop_listeners=coordinator.desk.close,
    )


def _sts_parts(base: Foundations, argon2: Argon2Secrets, sessions: OpenClientSession) -> StsParts:
    return StsParts(
        clock=base.clock,
        entropy=base.entropy,
        directory=base.zones,
        secrets=base.zones,
        pepper=base.pepper,
        passwords=argon2,
        keys=base.zone_keys,
        graphs=base.graphs,
        minted=base.minted,
        evidence=base.evidence,
        sessions=sessions,
    )


def _gateway_parts(base: Foundations, administration: Administration) -> GatewayParts:
    return GatewayParts(
        clock=base.clock,
        entropy=base.entropy,
        directory=base.zones,
        keys=base.zone_keys,
        minted=base.minted,
        single_use=SingleUseInMemory(started_at=base.clock.now()),
        authority=base.graphs,
        evidence=base.evidence,
        credentials=base.credentials,
        mandates=MintForResource(base.entropy, base.zone_keys, MAX_RESOURCE_LIFETIME),
        tools=administration.keep_tools,
    )


async def _record_start(base: Foundations, settings: dict[str, Any]) -> None:
    """Every later entry points to this one: what ran, with which settings and policies.

    A broken log takes no entry and refuses whatever needs one. The process starts all the same, so that
    the log can be looked into.
    """
    instance, zones = base.evidence.instance, base.zones.zones()
    entry = start_entry(base.clock, instance, settings, "caracal", zones)
    try:
        await base.evidence.append(entry)
    except Unavailable:
        if base.audit.sweep.check() is None:
            raise
    else:
        base.audit.unfinished.look()
