"""Webhooks, signed as Standard Webhooks has it (https://www.standardwebhooks.com)."""

import base64
import hmac
from binascii import Error
from hashlib import sha256
from typing import Final

from caracal.tokens.secret import Secret
from caracal_server.ports.clock import Clock
from caracal_server.ports.upstream import UpstreamClient, UpstreamUrl
from caracal_server.shipping.batches import Batch
from caracal_server.shipping.config import Form
from caracal_server.shipping.forms import render
from caracal_server.shipping.posting import post

MIN_KEY_BYTES: Final = 24
_MARK: Final = "whsec_"


def webhook_key(secret: Secret) -> Secret:
    """The key behind a secret: base64 after `whsec_`, else its own bytes in base64.

    Raises:
        ValueError: it is not base64, or too short.
    """
    text = secret.reveal()
    try:
        key = (
            base64.b64decode(text.removeprefix(_MARK), validate=True)
            if text.startswith(_MARK)
            else text.encode()
        )
    except Error:
        raise ValueError("what follows whsec_ is base64") from None
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a webhook's secret has at least {MIN_KEY_BYTES} bytes")
    return Secret(base64.b64encode(key).decode())


def signature(key: Secret, message_id: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA-256 over id, timestamp and body, joined by full stops."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    mac = hmac.new(base64.b64decode(key.reveal()), signed, sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


class WebhookSink:
    """Implements `Sink`: what a receiver acknowledges with 2xx is delivered."""

    def __init__(
        self, client: UpstreamClient, url: UpstreamUrl, key: Secret, form: Form, clock: Clock
    ) -> None:
        self._client = client
        self._url = url
        self._key = key
        self._form = form
        self._clock = clock

    async def deliver(self, batch: Batch) -> None:
        events = b",".join(render(batch, self._form))
        place = f'"log":"{batch.log.origin}","first_index":{batch.first},"end_index":{batch.end}'
        body = b'{"type":"caracal.evidence",%b,"events":[%b]}' % (place.encode(), events)
        timestamp = self._clock.now_us() // 1_000_000
        headers = (
            (b"content-type", b"application/json"),
            (b"webhook-id", batch.key.encode()),
            (b"webhook-timestamp", str(timestamp).encode()),
            (b"webhook-signature", signature(self._key, batch.key, timestamp, body).encode()),
        )
        await post(self._client, self._url, headers, body)

    async def aclose(self) -> None:
        await self._client.aclose()
