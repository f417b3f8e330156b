"""Publishing revocations to a Valkey server, where the settings name one."""

import ipaddress
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Gauge

from caracal.tokens.secret import Secret
from caracal.wire.revocation_streams import MIN_KEY_BYTES
from caracal_server.assembly.running import run_until_left
from caracal_server.assembly.settings import SettingInvalid
from caracal_server.coordinator.publishing import StreamPublisher
from caracal_server.coordinator.service import Coordinator
from caracal_server.ports.clock import Clock

CHECK: Final = "revocation_streams"
_SCHEMES: Final = ("rediss", "redis", "unix")


@dataclass(frozen=True, slots=True)
class Streams:
    """Where revocations are published, and what signs them."""

    url: Secret
    key: Secret
    ca_file: Path | None


def streams_of(settings: dict[str, Any]) -> Streams | None:
    """Read the settings; `None` when nothing is to be published.

    Raises:
        SettingInvalid: they can not be used; the message never shows a URL or a key.
    """
    url_file, key_file = settings["STREAMS_URL_FILE"], settings["STREAMS_KEY_FILE"]
    if url_file is None and key_file is None:
        return None
    if url_file is None or key_file is None:
        raise SettingInvalid(
            "CARACAL_STREAMS_URL_FILE and CARACAL_STREAMS_KEY_FILE need each other"
        )
    url = _text(url_file, "CARACAL_STREAMS_URL_FILE")
    _check(url, encrypted_elsewhere=settings["UNSAFE_STREAMS_NO_TLS"])
    try:
        key = bytes.fromhex(_text(key_file, "CARACAL_STREAMS_KEY_FILE"))
    except ValueError:
        key = b""
    if len(key) < MIN_KEY_BYTES:
        raise SettingInvalid(
            f"CARACAL_STREAMS_KEY_FILE must hold at least {MIN_KEY_BYTES} bytes in hexadecimal"
        )
    return Streams(Secret(url), Secret(key.hex()), settings["STREAMS_CA_FILE"])


def publish_revocations(
    settings: dict[str, Any], coordinator: Coordinator, clock: Clock, stack: AsyncExitStack
) -> StreamPublisher | None:
    """Begin to publish, where the settings say so.

    Raises:
        SettingInvalid: as `streams_of`, or the client library is not installed.
    """
    found = streams_of(settings)
    if found is None:
        return None
    try:
        from caracal_server.adapters.valkey import ValkeyStreams  # noqa: PLC0415 (an extra)
    except ImportError:
        raise SettingInvalid(
            "CARACAL_STREAMS_URL_FILE needs the extra valkey: pip install 'caracal[server,valkey]'"
        ) from None
    key = bytes.fromhex(found.key.reveal())
    ca_file = None if found.ca_file is None else str(found.ca_file)
    streams = ValkeyStreams.connect(found.url, key, ca_file=ca_file)
    stack.push_async_callback(streams.close)
    publisher = StreamPublisher(coordinator.desk, streams, clock, key)
    stack.push_async_callback(run_until_left(publisher.run()))
    return publisher


def show_revocations(
    registry: CollectorRegistry, coordinator: Coordinator, publisher: StreamPublisher | None
) -> None:
    """Count who follows, and how far behind the streams are."""
    _gauge(
        registry,
        "caracal_revocation_listeners",
        "Who follows revocations by events.",
        lambda: coordinator.listeners.count,
    )
    if publisher is not None:
        _gauge(
            registry,
            "caracal_revocation_streams_lag_seconds",
            "How long ago everything that ended was on the streams.",
            lambda: publisher.lag_seconds,
        )
        _gauge(
            registry,
            "caracal_revocation_streams_published",
            "News that were added to the streams since the start.",
            lambda: publisher.published,
        )


def _gauge(registry: CollectorRegistry, name: str, meaning: str, read: Callable[[], float]) -> None:
    Gauge(name, meaning, registry=registry).set_function(read)


def _text(file: Path, variable: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingInvalid(f"{variable}: {file} can not be read") from None


def _check(url: str, *, encrypted_elsewhere: bool) -> None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises ValueError when it is none)
    except ValueError:
        parts = urlsplit("")
    # What a URL's query can say includes not to look at certificates.
    if parts.scheme not in _SCHEMES or parts.query or parts.fragment:
        raise SettingInvalid(
            "CARACAL_STREAMS_URL_FILE must hold a rediss://, redis:// or unix:// URL without a query"
        )
    if parts.scheme == "redis" and not (_loopback(parts.hostname or "") or encrypted_elsewhere):
        raise SettingInvalid(
            "CARACAL_STREAMS_URL_FILE must hold a rediss:// URL: redis:// is for this machine only, "
            "unless CARACAL_UNSAFE_STREAMS_NO_TLS=true"
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
