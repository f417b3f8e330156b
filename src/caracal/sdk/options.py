"""What a session may be opened with, and what of it goes together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypedDict

from caracal.authority.scopes import InvalidScope, ScopeSet
from caracal.authority.sessions import Lifecycle
from caracal.wire.calls.refusals import InvalidRequest
from caracal.wire.calls.sessions import START, IdempotencyKey, WantedSession
from caracal.wire.calls.tokens import SignedInUser
from caracal.wire.trace_context import TraceContext

TRANSPORT_TTL: Final = timedelta(minutes=15)
SHORTEST_TRANSPORT_TTL: Final = timedelta(minutes=2)


class SessionOptions(TypedDict, total=False):
    """What a session may be opened with; see `docs/sdk.md`."""

    scopes: Iterable[str]
    resources: Iterable[str]
    ttl: timedelta | None
    max_hops: int
    inherit: bool
    labels: Iterable[str]
    metadata: Mapping[str, object]
    user: SignedInUser | None
    trace: TraceContext | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A session as it is to be opened; the options, checked."""

    wanted: WantedSession
    scopes: ScopeSet
    resources: frozenset[str]
    max_hops: int
    trace: TraceContext | None
    key: IdempotencyKey | None


def plan_session(
    options: SessionOptions, lifecycle: Lifecycle, default_ttl: timedelta | None
) -> Plan:
    """Check the options.

    Raises:
        InvalidRequest: they do not go together.
        TypeError: there is no such option.
    """
    unknown = sorted(set(options) - set(SessionOptions.__annotations__))
    if unknown:
        raise TypeError(f"a session has no option {unknown[0]!r}")
    scopes = _scopes(options.get("scopes", ()))
    resources = frozenset(_several(options.get("resources", ()), "resources"))
    inherit = options.get("inherit", False)
    service = lifecycle is Lifecycle.SERVICE
    if bool(scopes) != bool(resources):
        raise invalid("scopes and resources go together", "name both, or neither")
    if scopes and inherit:
        raise invalid("it inherits all or gets what is named", "leave `inherit` or the scopes out")
    if service and (scopes or inherit or options.get("ttl") or options.get("user")):
        raise invalid(
            "a service has a lease, and hands on what it is given",
            "leave scopes, resources, ttl, inherit and user out; open sessions inside it",
        )
    key = options.get("idempotency_key")
    return Plan(
        wanted=WantedSession(
            lifecycle=lifecycle,
            inherit=inherit,
            ttl=None if service else options.get("ttl") or default_ttl,
            labels=tuple(_several(options.get("labels", ()), "labels")),
            metadata=options.get("metadata", {}),
            user=options.get("user"),
        ),
        scopes=scopes,
        resources=resources,
        max_hops=options.get("max_hops", 1),
        trace=options.get("trace"),
        key=None if key is None else IdempotencyKey(key, generated=False),
    )


def plan_transport(
    scopes: Iterable[str], resource: str, ttl: timedelta, labels: Iterable[str]
) -> Plan:
    """The session of a transport.

    Raises:
        InvalidRequest: it names no scopes, or would live too shortly to be renewed in time.
    """
    options: SessionOptions = {
        "scopes": scopes,
        "resources": [resource],
        "ttl": ttl,
        "labels": labels,
    }
    if ttl < SHORTEST_TRANSPORT_TTL:
        raise invalid("a transport's ttl is at least two minutes", "state a longer one")
    return plan_session(options, Lifecycle.TASK, None)


def _scopes(names: Iterable[str]) -> ScopeSet:
    try:
        return ScopeSet.from_texts(_several(names, "scopes"))
    except InvalidScope as error:
        raise invalid(str(error), "name scopes as the zone file does") from None


def _several(names: Iterable[str], option: str) -> Iterable[str]:
    if isinstance(names, str):
        raise invalid(f"{option}: one text is not several", f"write {option}=[{names!r}]")
    return names


def invalid(description: str, fix: str) -> InvalidRequest:
    return InvalidRequest(START, description, code="invalid_options", fix=fix)
