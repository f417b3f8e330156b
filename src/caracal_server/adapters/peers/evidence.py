"""The evidence log, when Audit runs apart: one batch is on its way at a time, later entries form the next.

What is waited for is sent once: when it is not known to be durable, the answer is no. Results are kept and
sent again until Audit has them.
"""

import asyncio
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Final

import structlog
from msgspec.structs import replace

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.ports.evidence import Receipt
from caracal_server.web.peers.messages import EvidenceBatch, Fault, Recorded
from caracal_server.web.peers.services import Ask

MAX_BATCH: Final = 200
"""Entries in one question. The head of a request bounds an entry, so they stay below what Audit reads."""
MAX_WAITING: Final = 10_000
RETRY_SECONDS: Final = 0.5
LINGER_SECONDS: Final = 0.01
"""How long a result waits for a decision to share its batch."""
CLOSE_SECONDS: Final = 5.0

_log = structlog.get_logger("caracal.evidence")


class _Waiting:
    """An entry and who waits for it; nobody waits for a result."""

    __slots__ = ("entry", "receipt")

    def __init__(self, entry: Entry, receipt: "asyncio.Future[Receipt] | None") -> None:
        self.entry = entry
        self.receipt = receipt


class RemoteEvidence:
    """Implements `EvidenceLog` by asking Audit; `instance` is what each entry is marked with."""

    def __init__(self, channel: PeerChannel, instance: str) -> None:
        self._channel = channel
        self._instance = instance
        self._waiting: list[_Waiting] = []
        self._unsent: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="evidence to audit")
        self._watching = asyncio.create_task(self._channel.watch(), name="audit is there")

    async def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable.

        Raises:
            Unavailable: it may or may not have been recorded; the act must not happen.
        """
        self._require_open()
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(replace(entry, instance=self._instance), receipt))
        self._wake.set()
        return await receipt

    def enqueue(self, entry: Entry) -> None:
        """Record soon.

        Raises:
            Unavailable: too many wait already.
        """
        self._require_open()
        self._waiting.append(_Waiting(replace(entry, instance=self._instance), None))
        if self._alarm is None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(LINGER_SECONDS, self._linger_over)

    async def close(self) -> None:
        """Take no more, send what waits within a bound, and end."""
        self._closing = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait((task,), timeout=CLOSE_SECONDS)
            task.cancel()
        if self._watching is not None:
            self._watching.cancel()
        left = len(self._waiting) + len(self._unsent)
        if left:
            _log.error("results_lost", count=left)
        _refuse(self._waiting, Unavailable(Reason.DRAINING, "the log is closed"))

    def check(self) -> str | None:
        """What readiness asks."""
        if self._task is None or self._task.done():
            return "not running"
        return self._channel.failing

    def _require_open(self) -> None:
        if self._closing or self._task is None or self._task.done():
            raise Unavailable(Reason.DRAINING, "the log is closed")
        if len(self._waiting) + len(self._unsent) >= MAX_WAITING:
            raise Unavailable(Reason.OVERLOADED, "too many entries wait to be recorded")

    def _linger_over(self) -> None:
        self._alarm = None
        self._wake.set()

    async def _run(self) -> None:
        while self._waiting or self._unsent or not self._closing:
            if self._unsent and not await self._send_again():
                await self._pause()
            if not self._waiting and not self._unsent and not self._closing:
                await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                await self._send_next()

    async def _pause(self) -> None:
        """Until it is time to try again, or somebody waits."""
        if self._waiting or self._closing:
            await asyncio.sleep(LINGER_SECONDS)
            return
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send_next(self) -> None:
        taken = self._waiting[:MAX_BATCH]
        self._waiting = self._waiting[MAX_BATCH:]
        if self._waiting:
            self._wake.set()
        try:
            recorded = await self._send(taken, again=False)
        except BaseException as fault:
            why = fault if isinstance(fault, Unavailable) else _lost()
            _refuse(taken, why)
            self._unsent += [one for one in taken if one.receipt is None]
            if not isinstance(fault, Exception):
                raise
            return
        # An Audit of the release before sends no references.
        references = chain(recorded.references, repeat(""))
        for one, place, reference in zip(taken, recorded.receipts, references, strict=False):
            if isinstance(place, Fault):
                _refuse([one], Unavailable(place.reason, place.detail))
            elif one.receipt is not None and not one.receipt.done():
                receipt = Receipt(ZoneId(one.entry.zone), *place, reference)
                one.receipt.set_result(receipt)
        self._unsent += [one for one in _missed(taken, recorded) if one.receipt is None]

    async def _send_again(self) -> bool:
        taken = self._unsent[:MAX_BATCH]
        try:
            recorded = await self._send(taken, again=True)
        except Exception:  # noqa: BLE001 (whatever it was, they are kept)
            return False
        missed = _missed(taken, recorded)
        self._unsent = missed + self._unsent[len(taken) :]
        return not missed

    async def _send(self, taken: list[_Waiting], *, again: bool) -> Recorded:
        batch = EvidenceBatch(tuple(one.entry for one in taken), again=again)
        recorded = await self._channel.ask(Ask.APPEND_EVIDENCE, batch, Recorded)
        if len(recorded.receipts) != len(taken):
            raise _lost()
        return recorded


def _missed(taken: Iterable[_Waiting], recorded: Recorded) -> list[_Waiting]:
    """What of a batch Audit did not record."""
    places = zip(taken, recorded.receipts, strict=True)
    return [one for one, place in places if isinstance(place, Fault)]


def _lost() -> Unavailable:
    return Unavailable(Reason.EVIDENCE_UNAVAILABLE, "the entry may not have been recorded")


def _refuse(waiting: Iterable[_Waiting], fault: Unavailable) -> None:
    for one in waiting:
        if one.receipt is not None and not one.receipt.done():
            one.receipt.set_exception(Unavailable(fault.reason, fault.detail))
