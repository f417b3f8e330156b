"""Who an agent is and where Caracal is; checked as a whole, so that all mistakes are named at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Final

from caracal.authority.identifiers import is_id
from caracal.authority.resources import InvalidResource, parse_resource_uri
from caracal.tokens.secret import Secret
from caracal.wire.calls.refusals import CaracalError
from caracal.wire.upstream_url import UpstreamUrl

CONTROL_URL: Final = "http://localhost:8080"
GATEWAY_URL: Final = "http://localhost:8081"
MAX_TTL_SECONDS: Final = 86_400


class InvalidConfiguration(CaracalError):
    """What is configured can not be used. `problems` has a line for each mistake."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(
            "configure the client",
            "; ".join(problems),
            code="invalid_configuration",
            fix="correct what is named",
        )
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything a client needs to know.

    Attributes:
        sts_url: where tokens are asked for. All URLs are https, or http on loopback.
        coordinator_url: where sessions are; likewise `audit_url` for receipts. Empty: as `sts_url`,
            which is right when all of Caracal runs in one process.
        resources: identifiers that the application works with; a session mandate is asked for them.
        prefixes: for a resource, how URLs of its upstream begin: such URLs mean the resource.
        default_ttl: of sessions that state none.

    Raises:
        InvalidConfiguration: on construction, for everything that is wrong.
    """

    zone_id: str
    application_id: str
    client_secret: Secret
    sts_url: str = CONTROL_URL
    coordinator_url: str = ""
    gateway_url: str = GATEWAY_URL
    audit_url: str = ""
    resources: tuple[str, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)
    default_ttl: timedelta | None = None

    def __post_init__(self) -> None:
        problems = (
            *_identity(self),
            *(line for name in _URLS for line in url_problems(name, getattr(self, name))),
            *(
                line
                for name in (*self.resources, *self.prefixes)
                for line in resource_problems("resources", name)
            ),
            *(line for key, url in self.prefixes.items() for line in prefix_problems(key, url)),
            *_ttl(self.default_ttl),
        )
        if problems:
            raise InvalidConfiguration(problems)
        for name in _URLS:
            object.__setattr__(self, name, getattr(self, name).rstrip("/") or self.sts_url)


_URLS: Final = ("sts_url", "coordinator_url", "gateway_url", "audit_url")
_REQUIRED: Final = frozenset({"sts_url", "gateway_url"})


def url_problems(name: str, text: str) -> tuple[str, ...]:
    """What is wrong with the address of a service."""
    if not text and name not in _REQUIRED:
        return ()
    try:
        url = UpstreamUrl.parse(text)
    except ValueError:
        return (f"{name}: {shown(text)!r} is no URL like https://caracal.example",)
    if url.query:
        return (f"{name}: leave the query out",)
    if url.scheme != "https" and not _loopback(url.host):
        return (f"{name}: use https; http is for loopback only, because it shows what is sent",)
    return ()


def shown(text: str) -> str:
    """As much of an address as an error may quote: what stands before an `@` may be a password."""
    _, at, rest = text.rpartition("@")
    return f"...@{rest}"[:80] if at else text[:80]


def resource_problems(name: str, identifier: str) -> tuple[str, ...]:
    try:
        parse_resource_uri(identifier)
    except InvalidResource as error:
        return (f"{name}: {error}, such as resource://reports",)
    return ()


def prefix_problems(resource: str, text: str) -> tuple[str, ...]:
    try:
        query = UpstreamUrl.parse(text).query
    except ValueError:
        return (f"upstream_prefix of {resource}: {shown(text)!r} is no absolute http or https URL",)
    return (f"upstream_prefix of {resource}: leave the query out",) if query else ()


def _identity(given: Configuration) -> tuple[str, ...]:
    problems = [
        f"{name}: {value[:60]!r} is no identifier; `caracal apply` prints it"
        for name, value in (
            ("zone_id", given.zone_id),
            ("application_id", given.application_id),
        )
        if not is_id(value)
    ]
    secret = given.client_secret.reveal()
    if not secret or not secret.isascii() or not secret.isprintable():
        problems.append("client_secret: a secret is visible ASCII text on one line")
    return tuple(problems)


def _ttl(ttl: timedelta | None) -> tuple[str, ...]:
    if ttl is None or timedelta(seconds=1) <= ttl <= timedelta(seconds=MAX_TTL_SECONDS):
        return ()
    return (f"default_ttl: 1 to {MAX_TTL_SECONDS} seconds",)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
