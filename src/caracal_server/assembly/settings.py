"""Every setting of a deployment: its variable, its default, its bounds. `docs/operations.md` lists them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from caracal_server.adapters.http.egress import PrivateEgress
from caracal_server.ports.evidence import Committable
from caracal_server.web.peers.services import is_shard

PREFIX: Final = "CARACAL_"


class SettingInvalid(ValueError):
    """A variable of the environment can not be used; the message names it and says what can."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment.

    Attributes:
        read: from its text to its value; raises `ValueError` with what is allowed.
    """

    name: str
    default: str
    meaning: str
    read: Callable[[str], Any]

    @property
    def variable(self) -> str:
        return PREFIX + self.name


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(least: float, most: float) -> Callable[[str], timedelta]:
    def read(text: str) -> timedelta:
        try:
            value = float(text)
        except ValueError:
            value = -1
        if not least <= value <= most:
            raise ValueError(f"seconds from {least:g} to {most:g}")
        return timedelta(seconds=value)

    return read


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("true or false")
    return text == "true"


def _url(text: str) -> str:
    if text and (not text.startswith(("http://", "https://")) or text.endswith("/")):
        raise ValueError("an http(s) URL without a trailing slash")
    return text


def _file(text: str) -> Path | None:
    path = Path(text) if text else None
    if path is not None and not path.is_file():
        raise ValueError("a file that exists")
    return path


def _log_format(text: str) -> str:
    if text not in {"text", "json"}:
        raise ValueError("text or json")
    return text


def _witness_mode(text: str) -> str:
    if text not in {"report", "require"}:
        raise ValueError("report or require")
    return text


def _origin(text: str) -> str:
    if any(character.isspace() or character in "+/" for character in text):
        raise ValueError("a host, with its port where it has one")
    return text


def _audience(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text) is None:
        raise ValueError("1 to 128 letters, digits and . _ -")
    return text


def _committed(text: str) -> tuple[Committable, ...]:
    # In one order: the digest of the settings goes on record.
    try:
        return tuple(sorted({Committable(one.strip()) for one in text.split(",") if one.strip()}))
    except ValueError:
        raise ValueError(f"fields out of {', '.join(Committable)}") from None


def _shard(text: str) -> str:
    if text and not is_shard(text):
        raise ValueError("a letter, then up to 19 of a-z 0-9 -")
    return text


def _shards(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in filter(None, text.split(",")):
        name, _, url = one.strip().partition("=")
        if not url or name in found or not is_shard(name):
            raise ValueError("name=URL of each shard once, separated by commas")
        found[name] = _url(url)
    return found


MiB: Final = 1024 * 1024

SETTINGS: Final = (
    Setting("ISSUER", "", "public URL of the control side, the `iss` of every mandate; the address "
            "that is listened on when empty", _url),
    Setting("GATEWAY_URL", "", "public URL of the Gateway, under which MCP clients find servers with an "
            "`endpoint`; the address that is listened on when empty, and none where services run apart",
            _url),
    Setting("LOG_ORIGIN", "", "what the evidence logs are named after; a name made on the first start "
            "when empty", _origin),
    Setting("PRIVATE_EGRESS_HOSTS", "", "addresses that are not public and may be called all the same: "
            "hosts, host:port, addresses, networks, separated by commas", PrivateEgress.parse),
    Setting("CA_FILE", "", "certificates, in PEM, that upstreams are verified with, besides the "
            "system's", _file),
    Setting("TLS_EXTRA_CA_FILE", "", "certificates, in PEM, that subject issuers and upstreams are "
            "verified with, besides those above", _file),
    Setting("DATABASE_FILE", "", "holds the database's URL, instead of `--database`", _file),
    Setting("CONTROL_AUDIENCE", "caracal-control", "what control keys ask for as their resource, and the "
            "`aud` of what they get", _audience),
    Setting("TRUST_FORWARDED", "false", "whether a proxy in front is believed about the caller's address "
            "(X-Forwarded-For, X-Forwarded-Proto)", _flag),
    Setting("MINIMUM_REMAINING_SECONDS", "35", "a mandate that expires sooner is refused at the Gateway",
            _seconds(0, 600)),
    Setting("MAX_REQUEST_BYTES", str(2048 * MiB), "the largest request body that the Gateway passes on",
            _whole(1, 1024 * 1024 * MiB)),
    Setting("MAX_INSPECTED_BYTES", str(MiB), "the largest message to an MCP server; the Gateway holds it "
            "in memory to read it", _whole(1024, 64 * MiB)),
    Setting("BODY_DIGESTS", "true", "whether the result of a call holds the SHA-256 of what was sent and "
            "of what came back", _flag),
    Setting("MAX_IN_FLIGHT", "1024", "calls that the Gateway carries at once", _whole(1, 100_000)),
    Setting("CONNECT_TIMEOUT_SECONDS", "5", "for a connection to an upstream", _seconds(0.1, 300)),
    Setting("FIRST_BYTE_TIMEOUT_SECONDS", "30", "until an upstream begins to answer",
            _seconds(0.1, 3600)),
    Setting("IDLE_TIMEOUT_SECONDS", "60", "without progress on a body, in either direction",
            _seconds(0.1, 86_400)),
    Setting("TOTAL_TIMEOUT_SECONDS", "0", "for a whole call; 0 lets a stream run", _seconds(0, 86_400)),
    Setting("UPSTREAM_CONNECTIONS", "128", "connections to one upstream at once", _whole(1, 10_000)),
    Setting("MAX_CLIENT_FAILURES", "60", "failed authentications of one application within a minute "
            "before it is held off for a minute", _whole(1, 10_000)),
    Setting("SESSIONS_PER_ZONE", "10000", "live sessions of a zone", _whole(1, 1_000_000)),
    Setting("SESSIONS_PER_APPLICATION", "1000", "live sessions of one application",
            _whole(1, 1_000_000)),
    Setting("CHILDREN_PER_SESSION", "100", "live children of one session", _whole(1, 100_000)),
    Setting("SWEEP_MINUTES", "15", "from the end of one verification of the whole evidence log to the "
            "start of the next", _whole(1, 10_080)),
    Setting("COMMITTED_FIELDS", "", "fields of evidence entries that are committed to instead of written, "
            "besides those that say who a person is, separated by commas: actor, answer, application_name, "
            "argument_values, arguments, body, detail, operation", _committed),
    Setting("PUBLIC_LOG", "false", "whether anybody may read the checkpoints and hash tiles of the "
            "evidence logs; entries never", _flag),
    Setting("WITNESS_POLICY_FILE", "", "which witnesses cosign the evidence logs, as a C2SP tlog-policy "
            "with their URLs; none when empty", _file),
    Setting("WITNESS_MODE", "report", "report only shows how old the quorum is; require turns readiness "
            "red beyond the bound", _witness_mode),
    Setting("WITNESS_STALE_SECONDS", "60", "how old the quorum of a log may become", _seconds(1, 86_400)),
    Setting("WITNESS_REFUSE", "false", "whether require also refuses new decisions beyond the bound",
            _flag),
    Setting("STREAMS_URL_FILE", "", "holds the URL of the Valkey or Redis server on which revocations are "
            "published: rediss://host:port/0; not published when empty", _file),
    Setting("STREAMS_KEY_FILE", "", "holds the key that signs what is published, in hexadecimal, at least "
            "32 bytes; whoever reads the streams needs it as well", _file),
    Setting("STREAMS_CA_FILE", "", "certificates, in PEM, that the Valkey server is verified with, besides "
            "the system's", _file),
    Setting("UNSAFE_STREAMS_NO_TLS", "false", "whether a Valkey server on another machine may be reached "
            "without TLS (redis://): only where the network encrypts", _flag),
    Setting("DRAIN_SECONDS", "14", "that requests under way have when the process is told to stop",
            _whole(1, 600)),
    Setting("STRICT_INSTALLATION", "false", "whether a process ends instead of starting when an installed "
            "file differs from the wheel's RECORD, or when that can not be told", _flag),
    Setting("LOG_FORMAT", "text", "of the process's own log on standard error: text or json", _log_format),
)  # fmt: skip

PEER_SETTINGS: Final = (
    Setting("PEER_STS", "http://127.0.0.1:9080", "where the STS's peer listener is", _url),
    Setting("PEER_COORDINATOR", "http://127.0.0.1:9082", "where the Coordinator's is", _url),
    Setting("PEER_AUDIT", "http://127.0.0.1:9083", "where Audit's is", _url),
    Setting("PEER_CONTROL", "http://127.0.0.1:9084", "where Control's is", _url),
    Setting("SHARD", "", "of Audit: which of its shards this process is; of another service: which of them "
            "records what it does. None when empty: Audit itself", _shard),
    Setting("SHARDS", "", "of Audit: where the peer listeners of its shards are: name=URL, separated by "
            "commas", _shards),
    Setting("PEER_KEY_FILE", "", "this service's own peer key; `keys/peer.key` in its directory when "
            "empty", _file),
    Setting("PEERS_FILE", "", "the public peer keys of all; `peers` in the directory when empty",
            _file),
    Setting("PEER_TLS_CERTIFICATE_FILE", "", "certificate chain, in PEM, of this service's peer listener",
            _file),
    Setting("PEER_TLS_KEY_FILE", "", "its private key, in PEM", _file),
    Setting("PEER_TLS_CA_FILE", "", "certificates, in PEM, that `https://` peers are verified with, and "
            "nothing else; the system's when empty", _file),
    Setting("UNSAFE_PEER_NO_TLS", "false", "whether a peer listener without TLS may listen on, and a peer "
            "without TLS be on, other addresses than this machine's: only where the network encrypts",
            _flag),
    Setting("GRAPH_STALE_SECONDS", "5", "how old a view of sessions and revocations may be",
            _seconds(1, 60)),
    Setting("CONFIGURATION_STALE_SECONDS", "30", "how old a view of zones and key sets may be",
            _seconds(2, 600)),
)  # fmt: skip
"""What services that run apart read besides."""


def read_settings(
    environment: Mapping[str, str], settings: Sequence[Setting] = SETTINGS
) -> dict[str, Any]:
    """Read every setting, by its name.

    Raises:
        SettingInvalid: for the first one that can not be used.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        try:
            values[setting.name] = setting.read(environment.get(setting.variable, setting.default))
        except ValueError as error:
            raise SettingInvalid(f"{setting.variable} must be {error}") from None
    return values
