"""Idempotency: a request repeated under the same key is answered as the first time.

The answer is stored in one transaction with what it answers to, so there is never one without the
other. Requests with the same key wait for each other; all others do not.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.evidence.canonical import JsonValue, canonical_json
from caracal.tokens.secret import Secret
from caracal_server.ports.graph import GraphStore, IdempotencyReceipt
from caracal_server.web.asgi import Header
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, RequestRefused

MAX_KEY_BYTES: Final = 255
REPLAYED: Final[Header] = (b"idempotency-replayed", b"true")

_DOMAIN = b"caracal:coordinator:idempotency:v1\0"
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_GENERATED = b"generated"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key. `generated` when its library made it up, so nobody will use it for long."""

    text: bytes = field(repr=False)
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What a key is unique within: an operation of one application in one zone."""

    zone_id: ZoneId
    name: str
    scope: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, rendered; `replayed` when an earlier request brought it about.

    Attributes:
        receipt: refers to the entry of the act that it answers; empty when that came earlier.
    """

    status: int
    body: bytes
    replayed: bool = False
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a receipt will say, but for the answer."""

    operation: Operation
    key_digest: str
    request_digest: str
    expires_at: datetime

    def receipt(self, answer: Answered, result_id: str) -> IdempotencyReceipt:
        return IdempotencyReceipt(
            zone_id=self.operation.zone_id,
            operation=self.operation.name,
            scope=self.operation.scope,
            key_digest=self.key_digest,
            request_digest=self.request_digest,
            status=answer.status,
            body=answer.body,
            result_id=result_id,
            expires_at=self.expires_at,
        )


def idempotency_key(headers: Iterable[Header]) -> IdempotencyKey | None:
    """Read the key of a request: 1 to 255 bytes of UTF-8, no controls, no surrounding whitespace.

    Raises:
        RequestRefused: there are several, or it is not valid.
    """
    found = [value for name, value in headers if name == b"idempotency-key"]
    if not found:
        return None
    if len(found) > 1:
        raise RequestRefused(
            Problem(
                Reason.IDEMPOTENCY_KEY_INVALID,
                "send one Idempotency-Key header",
                variant=Variant.IDEMPOTENCY_KEY_MULTIPLE,
            )
        )
    if not _valid(found[0]):
        raise RequestRefused(Problem(Reason.IDEMPOTENCY_KEY_INVALID))
    kinds = [value for name, value in headers if name == b"idempotency-key-kind"]
    return IdempotencyKey(found[0], generated=kinds == [_GENERATED])


class IdempotencyReceipts:
    """Answers a request once for each key."""

    def __init__(
        self,
        *,
        store: GraphStore,
        keys: tuple[Secret, ...],
        retention: timedelta,
        generated_retention: timedelta,
        max_receipts: int,
    ) -> None:
        """Take what it needs.

        Args:
            store: keeps the receipts.
            keys: of the digests: the one in use, and those before it, which are still looked up.
            retention: how long a receipt is kept.
            generated_retention: the same for a generated key.
            max_receipts: how many an application may have in a zone.

        Raises:
            ValueError: there is no key.
        """
        if not keys:
            raise ValueError("a digest key is needed")
        self._store = store
        self._keys = keys
        self._retention = retention
        self._generated_retention = generated_retention
        self._max_receipts = max_receipts
        self._turns: dict[tuple[Operation, str], _Turn] = {}
        self._counts: dict[tuple[ZoneId, str], int] = {}

    async def once(
        self,
        operation: Operation,
        key: IdempotencyKey | None,
        request: Callable[[], JsonValue],
        *,
        now: datetime,
        live: Callable[[str], bool],
        make: Callable[[Draft | None], Awaitable[Answered | Refused]],
    ) -> Answered | Refused:
        """Answer as the first time, or `make` the answer and its receipt.

        Args:
            operation: what the key is unique within.
            key: without one, every request is a new one.
            request: the request as JSON, which must be the same for the key to mean the same.
            now: the instant, UTC.
            live: tells whether what an earlier request made, by its id, is still live.
            make: makes the answer and stores it with the receipt drafted.

        Raises:
            Unavailable: the store can not be read, or `make` raises it.
        """
        if key is None:
            return await make(None)
        digests = tuple(self._digest(key, secret) for secret in self._keys)
        async with self._turn(operation, digests[0]):
            found = await self._find(operation, key, digests, request(), now=now)
            match found:
                case Refused():
                    return found
                case IdempotencyReceipt():
                    if live(found.result_id):
                        return Answered(found.status, found.body, replayed=True)
                    return Refused(
                        Reason.IDEMPOTENCY_RESULT_INACTIVE,
                        f"{found.result_id} is not live any more",
                    )
                case Draft():
                    outcome = await make(found)
                    if isinstance(outcome, Answered):
                        self._count(operation)
                    return outcome

    @asynccontextmanager
    async def _turn(self, operation: Operation, digest: str) -> AsyncIterator[None]:
        """Hold the turn among the requests of this key."""
        name = (operation, digest)
        turn = self._turns.setdefault(name, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[name]

    async def _find(
        self,
        operation: Operation,
        key: IdempotencyKey,
        digests: tuple[str, ...],
        request: JsonValue,
        *,
        now: datetime,
    ) -> IdempotencyReceipt | Draft | Refused:
        """Find the receipt of this key, draft one, or say why neither will do."""
        asked = hashlib.sha256(canonical_json(request)).hexdigest()
        for digest in digests:
            receipt = await self._store.receipt(
                operation.zone_id, operation.name, operation.scope, digest
            )
            if receipt is not None and receipt.expires_at > now:
                if hmac.compare_digest(receipt.request_digest, asked):
                    return receipt
                return Refused(
                    Reason.IDEMPOTENCY_CONFLICT, "this key belongs to a request that was different"
                )
        if await self._full(operation, now):
            return Refused(
                Reason.IDEMPOTENCY_LIMIT, f"the application has {self._max_receipts} receipts"
            )
        retention = self._generated_retention if key.generated else self._retention
        return Draft(operation, digests[0], asked, now + retention)

    def _count(self, operation: Operation) -> None:
        place = (operation.zone_id, operation.scope)
        if place in self._counts:
            self._counts[place] += 1

    async def _full(self, operation: Operation, now: datetime) -> bool:
        """Whether there is room: counted here, and in the store only when that says there is none.

        Receipts only come by way of `once`; that some expired meanwhile makes the count too high.
        """
        place = (operation.zone_id, operation.scope)
        count = self._counts.get(place)
        if count is None or count >= self._max_receipts:
            count = await self._store.receipt_count(*place, now=now)
            self._counts[place] = count
        return count >= self._max_receipts

    @staticmethod
    def _digest(key: IdempotencyKey, secret: Secret) -> str:
        return hmac.digest(secret.reveal().encode(), _DOMAIN + key.text, "sha256").hex()


class _Turn:
    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


def _valid(value: bytes) -> bool:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return (
        1 <= len(value) <= MAX_KEY_BYTES and text == text.strip() and _CONTROL.search(value) is None
    )
