"""From the configuration to sinks."""

import ssl
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from caracal.tokens.secret import Secret
from caracal_server.ports.clock import Clock
from caracal_server.ports.upstream import UpstreamUrl
from caracal_server.shipping.archives import jsonl_archive, parquet_archive
from caracal_server.shipping.config import (
    Bucket,
    JsonlSink,
    OtlpSink,
    ParquetSink,
    SecretReference,
    SinkConfig,
    SyslogSink,
    WebhookSink,
)
from caracal_server.shipping.files import BucketPlace, DirectoryPlace, Place
from caracal_server.shipping.otlp import OtlpSink as Otlp
from caracal_server.shipping.parts import Network, Sink
from caracal_server.shipping.syslog import SyslogSink as Syslog
from caracal_server.shipping.webhook import WebhookSink as Webhook
from caracal_server.shipping.webhook import webhook_key

if TYPE_CHECKING:
    from obstore.store import S3Store


class Builder:
    """Makes sinks, for paths relative to the file's directory. Raises `ValueError` and `OSError`."""

    def __init__(
        self,
        directory: Path,
        secret: Callable[[SecretReference], Secret],
        network: Network,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._network = network
        self._clock = clock

    def sink(self, config: SinkConfig) -> Sink:
        if isinstance(config, ParquetSink):
            _require_library("pyarrow")
        if isinstance(config, ParquetSink | JsonlSink) and config.bucket is not None:
            _require_library("obstore")
        match config:
            case ParquetSink():
                return parquet_archive(self._place(config.directory, config.bucket))
            case JsonlSink():
                return jsonl_archive(self._place(config.directory, config.bucket), config.format)
            case SyslogSink():
                return self._syslog(config)
            case OtlpSink():
                headers = {name: self._secret(it) for name, it in config.headers.items()}
                client = self._network.http(self._path(config.ca_file))
                return Otlp(client, _receiver(config.url), _sendable(headers), config.format)
            case WebhookSink():
                key = webhook_key(self._secret(config.secret))
                client = self._network.http(self._path(config.ca_file))
                return Webhook(client, _receiver(config.url), key, config.format, self._clock)

    def _place(self, directory: str | None, bucket: Bucket | None) -> Place:
        if bucket is None:
            return DirectoryPlace(self._directory / (directory or ""))
        region = bucket.region
        endpoint = bucket.endpoint or f"https://s3.{region}.amazonaws.com"
        UpstreamUrl.parse(endpoint)
        return BucketPlace(bucket.url, endpoint, self._network, self._connection(bucket, endpoint))

    def _connection(self, bucket: Bucket, endpoint: str) -> Callable[[], "S3Store"]:
        keys: dict[str, str] = {}
        for name in ("access_key_id", "secret_access_key", "session_token"):
            reference = getattr(bucket, name)
            if reference is not None:
                keys[name] = self._secret(reference).reveal()
        parts = urlsplit(bucket.url)

        def connect() -> "S3Store":
            from obstore.store import S3Store  # noqa: PLC0415 - the `export` extra

            return S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                endpoint=endpoint,
                region=bucket.region,
                virtual_hosted_style_request=False,
                client_options={"allow_http": endpoint.startswith("http://")},
                **keys,  # type: ignore[arg-type]  # the names above are strings in its signature
            )

        return connect

    def _syslog(self, config: SyslogSink) -> Sink:
        context = ssl.create_default_context(cafile=self._path(config.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        certificate = self._path(config.certificate_file)
        if certificate is not None:
            context.load_cert_chain(certificate, self._path(config.key_file))
        return Syslog(
            self._network,
            (config.host, config.port),
            context,
            server_name=config.server_name or config.host,
            form=config.format,
            facility=config.facility,
        )

    def _path(self, text: str | None) -> Path | None:
        return None if text is None else self._directory / text


def _require_library(name: str) -> None:
    if find_spec(name) is None:
        raise ValueError(f"{name} is not installed: it comes with the extra `export`")


def _receiver(url: str) -> UpstreamUrl:
    return UpstreamUrl.parse(url)


def _sendable(headers: Mapping[str, Secret]) -> Mapping[str, Secret]:
    for name, value in headers.items():
        text = value.reveal()
        if not (
            name.isascii()
            and name.replace("-", "").isalnum()
            and text.isascii()
            and text.isprintable()
        ):
            raise ValueError(f"the header {name!r} can not be sent")
    return headers
