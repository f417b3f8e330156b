"""Asking a server: every answer read into a type, every refusal turned into one line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from caracal.authority.outcomes import Reason
from caracal_server.cli.connection import Connection, find_address, find_connection
from caracal_server.cli.failures import CommandFailed, ExitCode

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_PLACES: Final = 20

_UNAUTHORISED = frozenset({401, 403})
_TOO_MANY = 429
_SERVER_SIDE = 500
_BAD_FILE = frozenset({Reason.ZONE_FILE_INVALID, Reason.POLICY_INVALID, Reason.SECRET_UNREADABLE})

Shape = TypeVar("Shape")
Query = Mapping[str, str | int | None]


class _Issue(msgspec.Struct, frozen=True):
    path: tuple[str | int, ...] = ()
    message: str = ""


class _Details(msgspec.Struct, frozen=True):
    issues: tuple[_Issue, ...] = ()


class _Problem(msgspec.Struct, frozen=True):
    """A refusal in any of its renderings; see `caracal_server.web.problems`."""

    reason: str
    hint: str = ""
    title: str = ""
    detail: str = ""
    error_description: str = ""
    request_id: str = ""
    request_id_oauth: str = msgspec.field(default="", name="requestId")
    issues: tuple[_Issue, ...] = ()
    details: _Details | None = None


def path_of(*segments: str) -> str:
    """Join path segments; whatever they hold, none becomes two."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


class Server:
    """A connection in use. `doing` is what the command is about, as in "could not <doing>"."""

    def __init__(self, connection: Connection, doing: str) -> None:
        self._address = connection.server
        self._doing = doing
        self._client = httpx.Client(
            base_url=connection.server,
            headers=_authorization(connection),
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    @classmethod
    def connect(
        cls, server: str | None, token_file: Path | None, data: Path | None, doing: str
    ) -> Self:
        """Find out which server and token are meant; nothing is sent yet.

        Raises:
            CommandFailed: neither is known.
        """
        return cls(find_connection(server, token_file, data), doing)

    @classmethod
    def connect_without_token(cls, server: str | None, data: Path | None, doing: str) -> Self:
        """Find out which server is meant, for what needs no token; nothing is sent yet.

        Raises:
            CommandFailed: it is not known.
        """
        return cls(find_address(server, data), doing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, shape: type[Shape], **query: str | int | None) -> Shape:
        """Read something.

        Raises:
            CommandFailed: the server is out of reach or refused, or the answer makes no sense.
        """
        return self._decoded(self._asked("GET", path, query), shape)

    def text(self, path: str, **query: str | int | None) -> str:
        """Read a text."""
        return self._asked("GET", path, query).decode(errors="replace")

    def send(
        self,
        method: str,
        path: str,
        shape: type[Shape],
        body: bytes = b"",
        **query: str | int | None,
    ) -> Shape:
        """Change something with a JSON body, and read the answer."""
        return self._decoded(self._asked(method, path, query, body), shape)

    def delete(self, path: str, **query: str | int | None) -> None:
        """End or remove something."""
        self._asked("DELETE", path, query)

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        """Read something long, piece by piece."""
        with self._faults_told(), self._client.stream("GET", path) as response:
            if not response.is_success:
                self._refuse(response, response.read())
            yield response.iter_bytes()

    def _asked(self, method: str, path: str, query: Query, body: bytes = b"") -> bytes:
        params = {name: str(value) for name, value in query.items() if value is not None}
        headers = {"content-type": "application/json"} if body else {}
        with (
            self._faults_told(),
            self._client.stream(
                method, path, params=params, content=body or None, headers=headers
            ) as response,
        ):
            answer = self._bounded(response)
            if not response.is_success:
                self._refuse(response, answer)
            return answer

    def _bounded(self, response: httpx.Response) -> bytes:
        answer = bytearray()
        for piece in response.iter_bytes():
            answer += piece
            if len(answer) > MAX_ANSWER_BYTES:
                raise self._failed(ExitCode.UNREACHABLE, "the answer is too long")
        return bytes(answer)

    def _decoded(self, answer: bytes, shape: type[Shape]) -> Shape:
        try:
            return msgspec.json.decode(answer, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._not_caracal() from None

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError:
            raise self._failed(
                ExitCode.UNREACHABLE,
                f"no Caracal answers at {self._address}",
                "see that it runs, or name another with --server",
            ) from None
        except httpx.TimeoutException:
            raise self._failed(
                ExitCode.UNREACHABLE,
                f"{self._address} did not answer in time",
                "see how it does with `caracal status`; what was asked may still be done",
            ) from None
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL):
            raise self._failed(
                ExitCode.UNREACHABLE,
                f"the connection to {self._address} broke off",
                "see how it does with `caracal status`; what was asked may still be done",
            ) from None

    def _refuse(self, response: httpx.Response, answer: bytes) -> None:
        try:
            problem = msgspec.json.decode(answer, type=_Problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._not_caracal(response.status_code) from None
        request_id = problem.request_id or problem.request_id_oauth
        why = problem.detail or problem.error_description or problem.title
        marks = f"{problem.reason}, request {request_id}" if request_id else problem.reason
        issues = problem.issues or (problem.details or _Details()).issues
        raise self._failed(
            _code_of(response.status_code, problem.reason),
            f"{why.rstrip('.')} ({marks})",
            problem.hint.rstrip("."),
            tuple(_place(issue) for issue in issues[:MAX_PLACES]),
        )

    def _not_caracal(self, status: int = 200) -> CommandFailed:
        return self._failed(
            ExitCode.UNREACHABLE,
            f"{self._address} answered {status} with something that is not Caracal's",
            "check --server: it is the address of Control, not of the Gateway",
        )

    def _failed(
        self, code: ExitCode, why: str, advice: str = "", places: tuple[str, ...] = ()
    ) -> CommandFailed:
        return CommandFailed(code, f"could not {self._doing}: {why}", advice, places)


def _authorization(connection: Connection) -> dict[str, str]:
    token = connection.token
    return {} if token is None else {"authorization": f"Bearer {token.reveal()}"}


def _code_of(status: int, reason: str) -> ExitCode:
    if reason in _BAD_FILE:
        return ExitCode.USAGE
    if status in _UNAUTHORISED:
        return ExitCode.UNAUTHORISED
    if status == _TOO_MANY or status >= _SERVER_SIDE:
        return ExitCode.UNAVAILABLE
    return ExitCode.REFUSED


def _place(issue: _Issue) -> str:
    where = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in issue.path
    ).lstrip(".")
    return f"{where}: {issue.message}" if where else issue.message
