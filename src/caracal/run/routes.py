"""What a request to the proxy means: a resource, a host that is reached directly, or nothing. No I/O."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, TypeAlias

from caracal.tokens.secret import Secret
from caracal.wire.upstream_url import UpstreamUrl

USER: Final = "caracal"
_AUTHORITY = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")
_NAME = re.compile(r"[a-z0-9_]+")
_BASIC = re.compile(r"basic +([A-Za-z0-9+/=]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Route:
    """One resource.

    Attributes:
        name: what base URLs and variables call it.
        prefix: how URLs of its upstream begin; `None` when that is not known.
        variables: which of the program's variables hold its base URL.
    """

    name: str
    resource: str
    prefix: UpstreamUrl | None = None
    variables: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        return f"CARACAL_URL_{self.name.upper()}"


@dataclass(frozen=True, slots=True)
class ToResource:
    """A governed call. `rest` is path and query below the resource; `base` precedes paths in answers."""

    route: Route
    rest: str
    base: str = ""


@dataclass(frozen=True, slots=True)
class ToHost:
    """A request that the operator lets go directly."""

    url: UpstreamUrl


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel that the operator lets go directly."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Unproven:
    """It does not carry the credential of this run."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it goes nowhere."""

    status: int
    code: str
    message: str


Asked: TypeAlias = ToResource | ToHost | Tunnel | Unproven | Refusal

_LOST: Final = Refusal(404, "route_unknown", "there is nothing here")


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that requests may mean in one run.

    Attributes:
        port: where the proxy listens, on 127.0.0.1.
        credential: what every request has to carry, in its path or in `Proxy-Authorization`.
        direct: hosts with their ports that are reached without Caracal.
    """

    routes: tuple[Route, ...]
    port: int
    credential: Secret
    direct: frozenset[tuple[str, int]] = frozenset()

    def base_url(self, route: Route) -> str:
        return f"http://127.0.0.1:{self.port}{self._base(route)}"

    @property
    def proxy_url(self) -> str:
        return f"http://{USER}:{self.credential.reveal()}@127.0.0.1:{self.port}"

    def reveals_run(self, text: bytes) -> bool:
        """Whether a text, such as a `Referer`, holds what lets others into this run."""
        return self.credential.reveal().encode() in text

    def read(self, method: str, target: str, proxy_authorization: str | None) -> Asked:
        """Say what a request means; anything that is not understood goes nowhere."""
        if method == "CONNECT":
            return self._connect(target, proxy_authorization)
        if target.startswith("/"):
            return self._below_base(target)
        if not self._proven(proxy_authorization):
            return Unproven()
        try:
            url = UpstreamUrl.parse(target)
        except ValueError as error:
            return Refusal(400, "target_invalid", str(error))
        if url.scheme == "http" and url.port == self.port and is_loopback(url.host):
            return self._below_base(_raw(url))
        return self._at(url)

    def _below_base(self, target: str) -> Asked:
        """`/r/CREDENTIAL/NAME` and what follows; whoever does not know it learns nothing."""
        if not target.startswith("/r/"):
            return _LOST
        credential, _, rest = target.removeprefix("/r/").partition("/")
        if not self._is_credential(credential):
            return _LOST
        found = _NAME.match(rest)
        name = found.group() if found else ""
        rest = rest[len(name) :]
        for route in self.routes:
            if route.name == name and (not rest or rest[0] in "/?"):
                if not _unambiguous(rest):
                    return Refusal(400, "target_invalid", "the path can be read in two ways")
                return ToResource(route, rest or "/", self._base(route))
        return _LOST

    def _at(self, url: UpstreamUrl) -> Asked:
        found = self._governed(url)
        if found is not None:
            return found
        if (url.host, url.port) in self.direct:
            return ToHost(url)
        return _ungoverned(url.authority)

    def _governed(self, url: UpstreamUrl) -> ToResource | None:
        matches = []
        for route in self.routes:
            prefix = route.prefix
            if prefix is None:
                continue
            if (url.scheme, url.host, url.port) == (prefix.scheme, prefix.host, prefix.port):
                rest = _after(_raw(url), prefix.path.rstrip("/"))
                if rest is not None:
                    matches.append((len(prefix.path), ToResource(route, rest)))
        return max(matches, key=lambda match: match[0])[1] if matches else None

    def _connect(self, target: str, proxy_authorization: str | None) -> Asked:
        if not self._proven(proxy_authorization):
            return Unproven()
        try:
            if _AUTHORITY.fullmatch(target) is None:
                raise ValueError(target)  # noqa: TRY301 (one answer for both ways of being wrong)
            url = UpstreamUrl.parse(f"https://{target}")
        except ValueError:
            return Refusal(400, "target_invalid", "a tunnel leads to host:port")
        for route in self.routes:
            prefix = route.prefix
            if prefix is not None and (url.host, url.port) == (prefix.host, prefix.port):
                names = ", ".join((*route.variables, route.variable))
                return Refusal(
                    403,
                    "tunnel_governed",
                    f"{url.authority} is governed as {route.resource}, and what is in a tunnel can not be; "
                    f"have the program use the base URL in {names}",
                )
        if (url.host, url.port) in self.direct:
            return Tunnel(url.host, url.port)
        return _ungoverned(target)

    def _proven(self, proxy_authorization: str | None) -> bool:
        found = _BASIC.fullmatch(proxy_authorization or "")
        if found is None:
            return False
        try:
            text = base64.b64decode(found[1], validate=True)
        except binascii.Error:
            return False
        user, _, credential = text.partition(b":")
        proven = self._is_credential(credential.decode("latin-1"))
        return proven and user == USER.encode()

    def _is_credential(self, text: str) -> bool:
        return self.credential.matches(text)

    def _base(self, route: Route) -> str:
        return f"/r/{self.credential.reveal()}/{route.name}"


def route_name(resource: str, taken: Iterable[str]) -> str:
    """A name for a resource, in letters that paths and variables have, and that no other one has."""
    text = resource.partition("://")[2] if "://" in resource else resource
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "resource"
    known = set(taken)
    number, free = 1, name
    while free in known:
        number += 1
        free = f"{name}_{number}"
    return free


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _raw(url: UpstreamUrl) -> str:
    return f"{url.path}?{url.query}" if url.query else url.path


def _after(target: str, prefix: str) -> str | None:
    """What follows the prefix, when it ends where a segment does."""
    if not target.startswith(prefix):
        return None
    rest = target[len(prefix) :]
    return rest if not rest or rest[0] in "/?" else None


def _unambiguous(rest: str) -> bool:
    try:
        UpstreamUrl.parse(f"http://resource{rest}")
    except ValueError:
        return False
    return True


def _ungoverned(authority: str) -> Refusal:
    return Refusal(
        403,
        "host_not_governed",
        f"{authority} is no resource of this run; name one with --resource, or let it go directly with "
        f"--allow-direct {authority}",
    )
