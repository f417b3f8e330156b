"""`caracal witness`: a process that needs no database and no other service."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import require_name
from caracal.evidence.witness_keys import WitnessKey
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sealing.key_files import KEY_BYTES, load_or_create_key
from caracal_server.assembly.environment import environment
from caracal_server.assembly.listeners import Listener
from caracal_server.assembly.logs import configure_logs
from caracal_server.assembly.settings import SETTINGS, read_settings
from caracal_server.witness.http import WitnessApp
from caracal_server.witness.state import StateError, WitnessState
from caracal_server.witness.witness import KnownLogs, Witness, known_logs

DRAIN_SECONDS: Final = 5
_UNREAD: Final = timedelta(seconds=30)
_log = structlog.get_logger("caracal.witness")


@dataclass(frozen=True, slots=True)
class WitnessOptions:
    """What the command line says.

    Attributes:
        name: of a new witness; one that began before keeps its own.
        logs: verifier keys; those in `logs_file` are read again on SIGHUP.
        announce: is called with where it listens and its key, once it answers.
    """

    state: Path
    listen: tuple[str, int]
    name: str | None
    logs: tuple[str, ...]
    logs_file: Path | None
    announce: Callable[[str, str], None]


def run(options: WitnessOptions) -> None:
    """Witness until SIGTERM or SIGINT.

    Raises:
        KeyFileError, StateError, EvidenceError, OSError: it could not start.
    """
    settings = [one for one in SETTINGS if one.name == "LOG_FORMAT"]
    configure_logs(read_settings(environment(), settings)["LOG_FORMAT"])
    uvloop.run(_serve(options))


def identity(directory: Path, name: str | None = None) -> tuple[WitnessKey, Ed25519PrivateKey]:
    """The key of the witness in a directory, which is made on a first start.

    Raises:
        KeyFileError: a witness began here, and its key is gone or can not be read.
        StateError: the key is here and what it signed for is not, or another name was asked for.
    """
    state, key_file, name_file = (
        WitnessState(directory),
        directory / "witness.key",
        directory / "name",
    )
    if key_file.exists() and not state.exists:
        raise StateError(f"{directory}: the key is here, and the memory of what it signed is gone")
    needed_by = "what was cosigned here" if state.exists else None
    if not state.exists:
        state.begin()
    seed = load_or_create_key(
        key_file, "witness", SystemEntropy().token_bytes(KEY_BYTES), needed_by=needed_by
    )
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    if not name_file.exists():
        chosen = name or f"caracal-witness-{sha256(public).hexdigest()[:8]}"
        require_name(chosen)
        name_file.write_text(f"{chosen}\n")
    kept = name_file.read_text().strip()
    if name not in (None, kept):
        raise StateError(f"{directory}: this witness is called {kept!r}, and stays so")
    require_name(kept)
    return WitnessKey(kept, public), private


async def _serve(options: WitnessOptions) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    clock = SystemClock()
    key, private = identity(options.state, options.name)
    state = WitnessState(options.state)
    state.open()
    try:
        witness = Witness(
            _logs(options), key, private.sign, state, lambda: clock.now_us() // 1_000_000
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, _reread, witness, options)
        listener = Listener.bind(*options.listen)
        await listener.start(WitnessApp(witness), drain_seconds=DRAIN_SECONDS, unread=_UNREAD)
        options.announce(f"http://{listener.address}", key.render())
        await stop.wait()
        await listener.drain()
    finally:
        state.close()


def _reread(witness: Witness, options: WitnessOptions) -> None:
    try:
        witness.logs = _logs(options)
    except (EvidenceError, OSError) as fault:
        _log.error("logs_not_read", error=str(fault))
    else:
        _log.info("logs_read", count=len(witness.logs))


def _logs(options: WitnessOptions) -> KnownLogs:
    lines = [*options.logs]
    if options.logs_file is not None:
        lines += options.logs_file.read_text(encoding="utf-8").splitlines()
    return known_logs(lines)
