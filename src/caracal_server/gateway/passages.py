"""Calls on their way, so that a revocation or a caller who leaves can end them at once."""

import asyncio
import hashlib
from typing import final

from caracal.authority.events import CallError, Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.revocation import Revocation
from caracal_server.ports.peers import LiveAuthority


def refused_by(revocation: Revocation) -> Refused:
    return Refused(
        Reason.MANDATE_REVOKED,
        f"the {revocation.kind} {revocation.anchor} has ended: {revocation.reason}",
    )


class CallFailed(Exception):
    """The call can not go on, and why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.reason)
        self.refused = refused


@final
class Passage:
    """One admitted call, carried by `task`, and what has become of it so far.

    Attributes:
        failure: why it failed; `None` while it has not.
        error: what the upstream did to it, if it was the upstream.
        answer: SHA-256 of the response's body so far; `None` where it is not taken.
        began: the caller has been sent the beginning of a response.
    """

    __slots__ = (
        "_end",
        "_over",
        "_stopped",
        "answer",
        "began",
        "entry",
        "error",
        "failure",
        "mandate",
        "received_bytes",
        "started",
        "status",
        "task",
    )

    def __init__(
        self,
        mandate: Mandate,
        entry: Entry,
        task: asyncio.Task[object],
        started: float,
        *,
        digests: bool = False,
    ) -> None:
        self.mandate = mandate
        self.entry = entry
        self.task = task
        self.started = started
        self.status = 0
        self.received_bytes = 0
        self.began = False
        self.failure: Refused | None = None
        self.error: CallError | None = None
        self.answer = hashlib.sha256() if digests else None
        self._stopped: Refused | None = None
        self._over = False
        self._end: asyncio.TimerHandle | None = None

    def stop(self, refused: Refused) -> None:
        """End the call from outside its task; the first to do so says why."""
        if self._stopped is None and not self._over:
            self._stopped = refused
            self.task.cancel()

    def stopped(self) -> bool:
        """Whether the cancellation that has just arrived came from `stop`; takes it back then."""
        if self._stopped is None:
            return False
        self.failure = self._stopped
        self.task.uncancel()
        return True

    def digest(self) -> str:
        """Hex SHA-256 of what came back; empty without any, or where it is not taken."""
        if self.answer is None or not self.received_bytes:
            return ""
        return self.answer.hexdigest()

    def stop_after(self, seconds: float, refused: Refused) -> None:
        """End the call then, unless it is over; said once at most."""
        self._end = asyncio.get_running_loop().call_later(seconds, self.stop, refused)

    def finish(self) -> None:
        """From here on nothing can stop it."""
        self._over = True
        if self._end is not None:
            self._end.cancel()


class Passages:
    """The passages of every zone, and the subscriptions that end them.

    One that carries nothing is ended as promptly as a busy one, which is also held against the
    revocations before each chunk.
    """

    __slots__ = ("_authority", "_by_zone")

    def __init__(self, authority: LiveAuthority) -> None:
        self._authority = authority
        self._by_zone: dict[ZoneId, set[Passage]] = {}

    def open(self, passage: Passage) -> None:
        zone_id = passage.mandate.zone_id
        passages = self._by_zone.get(zone_id)
        if passages is None:
            passages = self._by_zone[zone_id] = set()
            self._authority.subscribe(zone_id, lambda: self._sweep(zone_id))
        passages.add(passage)

    def close(self, passage: Passage) -> None:
        passage.finish()
        self._by_zone[passage.mandate.zone_id].discard(passage)

    def __len__(self) -> int:
        return sum(map(len, self._by_zone.values()))

    def revoked(self, mandate: Mandate) -> Refused | None:
        """Why a call with this mandate must not go on, if so; not knowing is a reason."""
        try:
            revocation = self._authority.revocation(mandate)
        except Unavailable as error:
            return Refused(error.reason, error.detail)
        return None if revocation is None else refused_by(revocation)

    def _sweep(self, zone_id: ZoneId) -> None:
        for passage in tuple(self._by_zone[zone_id]):
            refused = self.revoked(passage.mandate)
            if refused is not None:
                passage.stop(refused)
