"""Which Caracal a command talks to, and with which token."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from caracal.tokens.secret import Secret
from caracal_server.assembly.environment import environment
from caracal_server.cli.failures import CommandFailed, ExitCode

DEFAULT_DATA: Final = Path("caracal-data")
SERVER_FILE: Final = "server.json"
MAX_TOKEN_BYTES: Final = 4096
ALLOW_CLEAR: Final = "CARACAL_UNSAFE_NO_TLS"

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_TO_START = "start one with `caracal up`, or name one with --server and --token-file"


class _Running(msgspec.Struct, frozen=True):
    """What `caracal up` writes into its data directory."""

    control: str
    operator_token_file: str


@dataclass(frozen=True, slots=True)
class Connection:
    """An address without a final slash, and the token to show there, if any."""

    server: str
    token: Secret | None = field(repr=False)


def data_directory(given: Path | None) -> Path:
    """The data directory of `caracal up`, as given, by the environment, or the default."""
    return given or _path("CARACAL_DATA") or DEFAULT_DATA


def find_connection(
    server: str | None, token_file: Path | None, data: Path | None = None
) -> Connection:
    """Find the server and the token: as given, by the environment, or what `caracal up` wrote down.

    The token that was written down goes only to the server it was written down with.

    Raises:
        CommandFailed: either is not known, or can not be used.
    """
    server = server or environment().get("CARACAL_SERVER") or None
    token_file = token_file or _path("CARACAL_OPERATOR_TOKEN_FILE")
    if server is not None and token_file is not None:
        return Connection(_checked(server), _read_token(token_file))
    written = data_directory(data) / SERVER_FILE
    running = _read_running(written)
    address = _checked(server or running.control)
    if token_file is None and address != running.control.rstrip("/"):
        raise CommandFailed(
            ExitCode.USAGE,
            f"no operator token is known for {address}",
            "name one with --token-file",
        )
    return Connection(address, _read_token(token_file or Path(running.operator_token_file)))


def connection_with(server: str, token: Secret) -> Connection:
    """For programs that say themselves where to and with which token.

    Raises:
        CommandFailed: the address can not be used.
    """
    return Connection(_checked(server), token)


def find_address(server: str | None, data: Path | None = None) -> Connection:
    """Find the server for what needs no token: as given, by the environment, or as written down.

    Raises:
        CommandFailed: it is not known, or can not be used.
    """
    server = server or environment().get("CARACAL_SERVER") or None
    if server is None:
        server = _read_running(data_directory(data) / SERVER_FILE).control
    return Connection(_checked(server, "what this command asks for"), None)


def _path(variable: str) -> Path | None:
    text = environment().get(variable)
    return Path(text) if text else None


def _read_running(written: Path) -> _Running:
    try:
        return msgspec.json.decode(written.read_bytes(), type=_Running)
    except FileNotFoundError:
        raise CommandFailed(
            ExitCode.USAGE, f"no running Caracal is known: there is no {written}", _TO_START
        ) from None
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not what `caracal up` writes"
        raise CommandFailed(ExitCode.USAGE, f"can not read {written}: {why}", _TO_START) from None


def _checked(server: str, what: str = "the operator token") -> str:
    parts = _split(server)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{server!r} is not the address of a server",
            "it reads like https://caracal.example.com or http://127.0.0.1:8080",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise CommandFailed(ExitCode.USAGE, "a server's address has no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname) and not _clear_allowed():
        raise CommandFailed(
            ExitCode.USAGE,
            f"{what} is not sent in clear to {parts.hostname}",
            f"use https, or set {ALLOW_CLEAR}=1 where the network itself is trusted",
        )
    return server.rstrip("/")


def _split(server: str) -> SplitResult | None:
    try:
        parts = urlsplit(server)
        _ = parts.port
    except ValueError:
        return None
    return parts if server.isprintable() and " " not in server else None


def _clear_allowed() -> bool:
    return environment().get(ALLOW_CLEAR) == "1"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_token(file: Path) -> Secret:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_TOKEN_BYTES + 1).decode("ascii").strip()
    except OSError as fault:
        raise CommandFailed(
            ExitCode.USAGE,
            f"can not read the operator token from {file}: {fault.strerror}",
            "name its file with --token-file",
        ) from None
    except UnicodeDecodeError:
        text = ""
    if len(text) > MAX_TOKEN_BYTES or _TOKEN.fullmatch(text) is None:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{file} does not hold an operator token",
            "it holds one line, the token",
        )
    return Secret(text)
