"""`caracal evidence ship`: takes evidence to where others keep it, as a program beside the server."""

import asyncio
import fcntl
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from caracal.tokens.secret import Secret
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.assembly.environment import environment
from caracal_server.assembly.logs import configure_logs
from caracal_server.cli.connection import connection_with
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import print_json, say
from caracal_server.cli.server import Server
from caracal_server.cli.shipping_file import read_shipping_file, resolve
from caracal_server.cli.shipping_parts import GuardedNetwork, ServerRecorder, ServerSource
from caracal_server.shipping.archives import Archive
from caracal_server.shipping.batches import Log
from caracal_server.shipping.building import Builder
from caracal_server.shipping.config import (
    JsonlSink,
    ParquetSink,
    SecretReference,
    ShippingConfig,
    SinkConfig,
)
from caracal_server.shipping.cursors import CursorFile, CursorUnreadable
from caracal_server.shipping.lanes import Lane, Pace, Recording
from caracal_server.shipping.parts import Sink, SourceFailed
from caracal_server.shipping.shipper import Outcome, Shipper

EGRESS_VARIABLE: Final = "CARACAL_PRIVATE_EGRESS_HOSTS"


class LaneStatus(msgspec.Struct, frozen=True):
    """How far a sink has come with a log."""

    sink: str
    zone: str
    next_index: int
    size: int
    lag: int
    unrecorded_files: int
    delivered_at: str | None


class _Status(msgspec.Struct, frozen=True):
    lanes: tuple[LaneStatus, ...]


class _Shipped(msgspec.Struct, frozen=True):
    lanes: int
    behind: tuple[str, ...]


def ship(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="What goes where: TOML or YAML.")
    ],
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Where the cursors are kept.")
    ] = Path("caracal-shipping"),
    once: Annotated[bool, typer.Option("--once", help="Deliver what there is, and end.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far each sink has come, and end.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Deliver evidence to files, buckets, syslog, OpenTelemetry and webhooks, at least once."""
    configure_logs("json" if json else "text")
    read = read_shipping_file(config)
    shipping = _Shipping(read, config.parent, state)
    with ExitStack() as stack:
        reader = stack.enter_context(shipping.server(read.token, "read the evidence"))
        source = ServerSource(reader, read.poll_seconds)
        if status:
            _show(asyncio.run(shipping.status(source)), json=json)
            return
        stack.enter_context(_alone(state))
        recorder = None
        if read.record_token is not None:
            writer = shipping.server(read.record_token, "record the export")
            recorder = ServerRecorder(stack.enter_context(writer))
        outcome = asyncio.run(shipping.run(source, recorder, once=once))
    if outcome is None:
        return
    if outcome.behind:
        behind = ", ".join(outcome.behind)
        raise CommandFailed(
            ExitCode.UNAVAILABLE,
            f"not everything was delivered: {behind}",
            "the lines above say why; what was acknowledged is not sent again",
        )
    if json:
        print_json(_Shipped(outcome.lanes, outcome.behind))
    else:
        say(f"everything is delivered: {outcome.lanes} logs and sinks")


class _Shipping:
    """The configuration, put to work."""

    def __init__(self, config: ShippingConfig, directory: Path, state: Path) -> None:
        self._config = config
        self._directory = directory
        self._state = state
        self._clock = SystemClock()

    def server(self, token: SecretReference, doing: str) -> Server:
        return Server(connection_with(self._config.server, self._secret(token)), doing)

    async def run(
        self, source: ServerSource, recorder: ServerRecorder | None, *, once: bool
    ) -> Outcome | None:
        """Deliver: once, or until a signal says to stop."""
        network = GuardedNetwork(_guard())
        sinks: dict[str, Sink] = {}
        try:
            for config in self._config.sinks:
                sinks[config.name] = self._sink(config, network)
            lanes = self._lanes(source, recorder, sinks)
            shipper = Shipper(source, lanes, self._config.poll_seconds)
            if once:
                return await shipper.once()
            await _until_told(shipper)
        except SourceFailed as fault:
            raise CommandFailed(ExitCode.UNAVAILABLE, str(fault)) from None
        else:
            return None
        finally:
            for sink in sinks.values():
                await sink.aclose()
            network.close()

    async def status(self, source: ServerSource) -> _Status:
        rows = []
        try:
            for log in await source.logs():
                size = await source.size(log)
                rows += [
                    self._status_of(config, log, size)
                    for config in self._config.sinks
                    if _wanted(config, log, source)
                ]
        except (SourceFailed, CursorUnreadable) as fault:
            raise CommandFailed(ExitCode.UNAVAILABLE, str(fault)) from None
        return _Status(tuple(rows))

    def _status_of(self, config: SinkConfig, log: Log, size: int) -> LaneStatus:
        cursor = CursorFile(self._state, config.name, log.zone).load(log.origin)
        reached = max(cursor.next_index, config.begin)
        at = cursor.delivered_at.isoformat() if cursor.delivered_at is not None else None
        lag = max(size - reached, 0)
        return LaneStatus(config.name, log.zone, reached, size, lag, len(cursor.unrecorded), at)

    def _lanes(
        self, source: ServerSource, recorder: ServerRecorder | None, sinks: dict[str, Sink]
    ) -> Callable[[Log], Sequence[Lane]]:
        def lanes(log: Log) -> Sequence[Lane]:
            return [
                self._lane(config, log, source, recorder, sinks[config.name])
                for config in self._config.sinks
                if _wanted(config, log, source)
            ]

        return lanes

    def _lane(
        self,
        config: SinkConfig,
        log: Log,
        source: ServerSource,
        recorder: ServerRecorder | None,
        sink: Sink,
    ) -> Lane:
        recording = None
        records = isinstance(config, ParquetSink | JsonlSink) and config.record
        if records and recorder is not None and isinstance(sink, Archive):
            recording = Recording(sink, recorder)
        return Lane(
            log,
            config.name,
            sink,
            Pace(config.batch_entries, config.every_seconds, config.begin),
            source,
            CursorFile(self._state, config.name, log.zone),
            self._clock,
            recording=recording,
        )

    def _sink(self, config: SinkConfig, network: GuardedNetwork) -> Sink:
        try:
            return Builder(self._directory, self._resolved, network, self._clock).sink(config)
        except OSError as fault:
            why = f"a file can not be used: {fault.strerror or type(fault).__name__}"
        except ValueError as fault:
            why = str(fault)
        raise CommandFailed(ExitCode.USAGE, f"the sink {config.name} will not do: {why}")

    def _resolved(self, reference: SecretReference) -> Secret:
        return resolve(reference, self._directory, environment())

    def _secret(self, reference: SecretReference) -> Secret:
        try:
            return self._resolved(reference)
        except ValueError as fault:
            raise CommandFailed(ExitCode.USAGE, f"there is no token: {fault}") from None


def _wanted(config: SinkConfig, log: Log, source: ServerSource) -> bool:
    named = config.zones
    return named is None or log.zone in named or source.names.get(log.zone) in named


def _guard() -> EgressGuard:
    try:
        return EgressGuard(PrivateEgress.parse(environment().get(EGRESS_VARIABLE, "")))
    except ValueError as fault:
        raise CommandFailed(ExitCode.USAGE, f"{EGRESS_VARIABLE}: {fault}") from None


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two programs on the same cursors would undo each other's."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        with (state / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise CommandFailed(
            ExitCode.UNAVAILABLE, f"another program ships with {state} already"
        ) from None
    except OSError as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not use {state}: {fault.strerror}") from None


async def _until_told(shipper: Shipper) -> None:
    """Deliver until SIGTERM or SIGINT; what is under way then is delivered again by the next run."""
    following = asyncio.create_task(shipper.follow())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, following.cancel)
    await asyncio.wait([following])
    if not following.cancelled():
        following.result()


def _show(status: _Status, *, json: bool) -> None:
    if json:
        print_json(status)
        return
    for row in status.lanes:
        say(
            f"{row.sink:<20}  {row.zone:<36}  {row.next_index} of {row.size}, {row.lag} to go; "
            f"delivered {row.delivered_at or 'nothing yet'}"
        )
