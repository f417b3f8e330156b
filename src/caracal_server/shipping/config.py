"""The configuration of shipping: which server, and where its evidence goes."""

from typing import Annotated, Literal

import msgspec

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Form = Literal["ocsf", "entry"]


class SecretReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret is: in a file, or in a variable of the environment. Never the secret."""

    file: _Text | None = None
    env: _Text | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.env is None):
            raise ValueError("a secret comes from one place: {file: PATH} or {env: NAME}")


class Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket of an S3-compatible store.

    Attributes:
        url: `s3://bucket/prefix`.
        endpoint: of a store that is not AWS; `http` only for hosts listed as private egress.
    """

    url: Annotated[
        str, msgspec.Meta(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\x21-\x7e]*)?$")
    ]
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "us-east-1"
    endpoint: _Text | None = None
    access_key_id: SecretReference | None = None
    secret_access_key: SecretReference | None = None
    session_token: SecretReference | None = None

    def __post_init__(self) -> None:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")


class _Sink(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """Attributes of every sink.

    Attributes:
        name: of its cursors, too: a sink of another name begins anew.
        batch_entries: at most so many at once.
        every_seconds: how long entries may wait for a batch to fill.
        begin: the index to begin at, where there is no cursor beyond it.
        zones: names or ids; all and `system` unless given.
    """

    name: _Name
    batch_entries: _Count = 500
    every_seconds: _Seconds = 0
    begin: Annotated[int, msgspec.Meta(ge=0)] = 0
    zones: tuple[_Text, ...] | None = None


class _Archive(_Sink, frozen=True, kw_only=True):
    """Files in a directory or a bucket; `record` tells Audit, so that retention may rest on it."""

    directory: _Text | None = None
    bucket: Bucket | None = None
    record: bool = False
    batch_entries: _Count = 10_000
    every_seconds: _Seconds = 300

    def __post_init__(self) -> None:
        if (self.directory is None) == (self.bucket is None):
            raise ValueError("files go to one place: directory or bucket")


class ParquetSink(_Archive, frozen=True, kw_only=True, tag="parquet"):
    """Columns, by day and zone."""


class JsonlSink(_Archive, frozen=True, kw_only=True, tag="jsonl"):
    """A JSON value on each line, by day and zone."""

    format: Form = "entry"


class SyslogSink(_Sink, frozen=True, kw_only=True, tag="syslog"):
    """RFC 5424 messages over TLS (RFC 5425)."""

    host: _Text
    port: _Port = 6514
    server_name: _Text | None = None
    ca_file: _Text | None = None
    certificate_file: _Text | None = None
    key_file: _Text | None = None
    format: Form = "ocsf"
    facility: Annotated[int, msgspec.Meta(ge=0, le=23)] = 13

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")


class OtlpSink(_Sink, frozen=True, kw_only=True, tag="otlp"):
    """OpenTelemetry logs, OTLP/HTTP with JSON; `url` is whole, as in https://host:4318/v1/logs."""

    url: _Text
    headers: dict[str, SecretReference] = {}
    ca_file: _Text | None = None
    format: Form = "ocsf"


class WebhookSink(_Sink, frozen=True, kw_only=True, tag="webhook"):
    """Signed POST requests, as Standard Webhooks has them."""

    url: _Text
    secret: SecretReference
    ca_file: _Text | None = None
    format: Form = "ocsf"


SinkConfig = ParquetSink | JsonlSink | SyslogSink | OtlpSink | WebhookSink


class ShippingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file.

    Attributes:
        server: the address of Control.
        token: an operator token with the scope `read`.
        record_token: one with the scope `write`, for sinks that say `record`.
    """

    server: _Text
    token: SecretReference
    sinks: Annotated[tuple[SinkConfig, ...], msgspec.Meta(min_length=1, max_length=32)]
    record_token: SecretReference | None = None
    poll_seconds: Annotated[float, msgspec.Meta(ge=0.05, le=3600)] = 2

    def __post_init__(self) -> None:
        names = [sink.name for sink in self.sinks]
        if len(set(names)) != len(names):
            raise ValueError("sinks have names of their own")
        places = [
            (type(sink), sink.directory, sink.bucket.url if sink.bucket else None)
            for sink in self.sinks
            if isinstance(sink, ParquetSink | JsonlSink)
        ]
        for place in places:
            if places.count(place) > 1:
                raise ValueError("two sinks would overwrite each other's files: give each a place")
        for sink in self.sinks:
            if isinstance(sink, ParquetSink | JsonlSink) and sink.record:
                if self.record_token is None:
                    raise ValueError(
                        f"the sink {sink.name} records exports, which takes record_token"
                    )
                if isinstance(sink, JsonlSink) and sink.format != "entry":
                    raise ValueError(
                        f"the sink {sink.name} records exports, which takes format: entry"
                    )
