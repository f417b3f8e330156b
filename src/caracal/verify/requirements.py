"""What a mandate must fulfil, and how one set of requirements tightens another."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypedDict, Unpack
from urllib.parse import SplitResult, urlsplit

from caracal.authority.identifiers import ApplicationId, ZoneId, parse_id
from caracal.authority.mandates import MandateClass
from caracal.authority.resources import ResourceUri, parse_resource_uri
from caracal.authority.scopes import NO_SCOPES, ScopeSet
from caracal.tokens.mandates import LEEWAY

MAX_HOPS: Final = 10
DEFAULT_LEEWAY: Final = timedelta(seconds=5)
_RESOURCE_ONLY: Final = frozenset({MandateClass.RESOURCE})
_ACCEPTABLE: Final = _RESOURCE_ONLY | {MandateClass.SESSION}
_URL: Final = re.compile(
    r"[!$-;=A-\[\]_a-z~]+"
)  # visible, and nothing that quotes, queries or escapes
_LOOPBACK: Final = ("localhost", "::1")


class Settings(TypedDict, total=False):
    """What may be said when a verifier is made, and again, tighter, for a route.

    Attributes:
        scopes: all of them must be in the mandate.
        targets: resource identifiers; all of them must be targets of the mandate.
        uses: `resource`, `session` or both; a gateway mandate is never accepted.
        require_session: it must act in a session.
        require_delegation: it must rest on a delegation.
        chain_contains: ids of applications; each must be a hop of the delegation chain.
        max_hops: 0 to 10 delegations.
        leeway: how long after its end a mandate still counts; at most 60 seconds.
        narrowed: whether chains count that holders narrowed; a route may only take that back.
    """

    scopes: Iterable[str]
    targets: Iterable[str]
    uses: Iterable[str]
    require_session: bool
    require_delegation: bool
    chain_contains: Iterable[str]
    max_hops: int
    leeway: timedelta
    narrowed: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose mandates count, and for whom they are meant.

    Attributes:
        issuer: to the letter as in `iss`: https, or http to loopback.
        audience: the resource's identifier; for session mandates the issuer.
    """

    issuer: str
    audience: str
    zone_id: ZoneId

    @classmethod
    def of(cls, issuer: str, audience: str, zone_id: str) -> "Expected":
        """Read settings.

        Raises:
            ValueError: one of them can not be right.
        """
        origin(issuer)
        if not audience:
            raise ValueError("audience: name the resource that this server is")
        return cls(issuer, audience, parse_id(ZoneId, zone_id))


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is asked of a mandate that is genuine and meant for this server."""

    scopes: ScopeSet = NO_SCOPES
    targets: frozenset[ResourceUri] = frozenset()
    uses: frozenset[MandateClass] = _RESOURCE_ONLY
    require_session: bool = False
    require_delegation: bool = False
    chain_contains: frozenset[ApplicationId] = frozenset()
    max_hops: int = MAX_HOPS
    leeway: timedelta = DEFAULT_LEEWAY
    narrowed: bool = False

    def __post_init__(self) -> None:
        if not self.uses or not self.uses <= _ACCEPTABLE:
            raise ValueError("uses: resource, session or both; here that leaves none")
        if not 0 <= self.max_hops <= MAX_HOPS:
            raise ValueError(f"max_hops: 0 to {MAX_HOPS}")
        if not timedelta(0) <= self.leeway <= LEEWAY:
            raise ValueError(f"leeway: 0 to {LEEWAY.seconds} seconds")

    @classmethod
    def of(cls, **settings: Unpack[Settings]) -> "Requirements":
        """Read settings.

        Raises:
            TypeError: for a name that is not known, or one text where a list is meant.
            ValueError: for a value that can not be right.
        """
        unknown = settings.keys() - Settings.__annotations__.keys()
        if unknown:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        return cls(
            scopes=ScopeSet.from_texts(_listed("scopes", settings.get("scopes", ()))),
            targets=frozenset(
                parse_resource_uri(text) for text in _listed("targets", settings.get("targets", ()))
            ),
            uses=frozenset(
                MandateClass(text) for text in _listed("uses", settings.get("uses", _RESOURCE_ONLY))
            ),
            require_session=bool(settings.get("require_session", False)),
            require_delegation=bool(settings.get("require_delegation", False)),
            chain_contains=frozenset(
                parse_id(ApplicationId, text)
                for text in _listed("chain_contains", settings.get("chain_contains", ()))
            ),
            max_hops=settings.get("max_hops", MAX_HOPS),
            leeway=settings.get("leeway", DEFAULT_LEEWAY),
            narrowed=bool(settings.get("narrowed", False)),
        )

    def and_also(self, other: "Requirements") -> "Requirements":
        """What fulfils both; nothing that either asks is lost.

        Raises:
            ValueError: no use is left that both accept.
        """
        return Requirements(
            scopes=ScopeSet(self.scopes.scopes | other.scopes.scopes),
            targets=self.targets | other.targets,
            uses=self.uses & other.uses,
            require_session=self.require_session or other.require_session,
            require_delegation=self.require_delegation or other.require_delegation,
            chain_contains=self.chain_contains | other.chain_contains,
            max_hops=min(self.max_hops, other.max_hops),
            leeway=min(self.leeway, other.leeway),
            narrowed=self.narrowed and other.narrowed,
        )

    def tightened(self, **settings: Unpack[Settings]) -> "Requirements":
        """These, and what `settings` asks on top; what they leave out stays as it is.

        Raises:
            TypeError, ValueError: as `of` and `and_also`.
        """
        silent: Settings = {
            "uses": self.uses,
            "leeway": self.leeway,
            "narrowed": self.narrowed,
        }
        return self.and_also(Requirements.of(**(silent | settings)))


def origin(url: str) -> SplitResult:
    """The parts of an https URL, or of an http one to loopback, without user, query and fragment.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    loopback = host in _LOOPBACK or _is_loopback_v4(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise ValueError(f"{url!r}: https is needed; http is for loopback only")
    if not host or "@" in parts.netloc or _URL.fullmatch(url) is None:
        raise ValueError(f"{url!r}: a host and a path, and nothing else")
    parts.port  # noqa: B018 (raises ValueError when it is none)
    return parts


def _is_loopback_v4(host: str) -> bool:
    numbers = host.split(".")
    return (
        len(numbers) == 4  # noqa: PLR2004 (an IPv4 address has four)
        and all(number.isascii() and number.isdigit() for number in numbers)
        and numbers[0] == "127"
    )


def _listed(name: str, values: Iterable[str]) -> Iterable[str]:
    if isinstance(values, str):
        raise TypeError(f"{name}: a list of texts, not one text")
    return values
