"""Control keys: applications whose traits let them operate their own zone, within limits."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from caracal.authority.mandates import DEFAULT_LIFETIME, MAX_LIFETIME
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import InvalidScope, Scope, ScopeSet, parse_scope
from caracal.authority.zones import Application

NAMESPACE = "control:"
RESERVED = "caracal.sys"
INVOKE = "control:invoke"
LIFETIMES = (timedelta(seconds=60), timedelta(seconds=900))

_SCOPE = "control:scope:"
_MAX_TTL = "control:max-ttl:"
_EXPIRES = "control:expires:"
_SECONDS = re.compile(r"[0-9]{2,3}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)


class InvalidTrait(ValueError):
    """A trait is in a namespace that has a meaning, and does not have one."""


@dataclass(frozen=True, slots=True)
class ControlKey:
    """What an application's traits let it do as a control key.

    Attributes:
        scopes: those it may ask for; each begins with `control:`.
        max_lifetime: of a mandate.
        expires_at: from then on it gets no mandate; `None` for never.
    """

    scopes: ScopeSet
    max_lifetime: timedelta
    expires_at: datetime | None = None


def is_control_trait(trait: str) -> bool:
    return trait.startswith(NAMESPACE)


def control_key(traits: tuple[str, ...]) -> ControlKey | None:
    """Read the traits of an application; `None` when it is no control key.

    Raises:
        InvalidTrait: one of them is none that exists, states a limit that is none, states one a second
            time, or stands without `control:invoke`.
    """
    if any(trait.startswith(RESERVED) for trait in traits):
        raise InvalidTrait(f"traits that begin with {RESERVED} are reserved")
    control = [trait for trait in traits if is_control_trait(trait)]
    if not control:
        return None
    if INVOKE not in control:
        raise InvalidTrait(f"{control[0]} means nothing without {INVOKE}")
    scopes: list[str] = []
    limits: list[timedelta] = []
    ends: list[datetime] = []
    for trait in control:
        if trait.startswith(_SCOPE):
            scopes.append(_scope(trait))
        elif trait.startswith(_MAX_TTL):
            limits.append(_lifetime(trait))
        elif trait.startswith(_EXPIRES):
            ends.append(_instant(trait))
        elif trait != INVOKE:
            raise InvalidTrait(f"there is no trait {trait}")
    if len(limits) > 1 or len(ends) > 1:
        raise InvalidTrait("a limit is stated more than once")
    return ControlKey(
        ScopeSet.from_texts(scopes),
        limits[0] if limits else DEFAULT_LIFETIME,
        ends[0] if ends else None,
    )


def decide_control(
    caller: Application, scopes: ScopeSet, lifetime: timedelta | None, *, now: datetime
) -> datetime | Refused:
    """Decide on a mandate for the control side: by the traits of the caller alone, and no policy.

    Args:
        caller: proven.
        scopes: asked for.
        lifetime: asked for; `None` for the default. More than the key allows is shortened.
        now: UTC.

    Returns:
        When the mandate ends.
    """
    try:
        key = control_key(caller.traits)
    except InvalidTrait as fault:
        return Refused(Reason.CONTROL_KEY_REQUIRED, str(fault))
    if key is None:
        return Refused(Reason.CONTROL_KEY_REQUIRED, f"{caller.name} has not the trait {INVOKE}")
    if key.expires_at is not None and now >= key.expires_at:
        return Refused(
            Reason.CONTROL_KEY_EXPIRED, f"the control key expired at {key.expires_at.isoformat()}"
        )
    if not len(scopes):
        return Refused(Reason.SCOPE_MISSING, "name the scopes that the mandate is to carry")
    if not scopes.within(key.scopes):
        excess = scopes.without(key.scopes).render()
        return Refused(Reason.CONTROL_SCOPE_EXCEEDED, f"the control key has not: {excess}")
    if lifetime is not None and lifetime > MAX_LIFETIME:
        return Refused(
            Reason.LIFETIME_TOO_LONG, f"ttl_seconds is at most {MAX_LIFETIME.total_seconds():.0f}"
        )
    return now + min(lifetime or DEFAULT_LIFETIME, key.max_lifetime)


def _scope(trait: str) -> Scope:
    text = trait.removeprefix(_SCOPE)
    if not text.startswith(NAMESPACE):
        raise InvalidTrait(f"the scope of a control key begins with {NAMESPACE}, unlike {text!r}")
    try:
        return parse_scope(text)
    except InvalidScope as error:
        raise InvalidTrait(str(error)) from None


def _lifetime(trait: str) -> timedelta:
    text = trait.removeprefix(_MAX_TTL)
    seconds = timedelta(seconds=int(text)) if _SECONDS.fullmatch(text) else timedelta()
    least, most = LIFETIMES
    if not least <= seconds <= most:
        raise InvalidTrait("control:max-ttl: is followed by 60 to 900 seconds")
    return seconds


def _instant(trait: str) -> datetime:
    text = trait.removeprefix(_EXPIRES)
    try:
        if _INSTANT.fullmatch(text) is not None:
            return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    raise InvalidTrait(
        "control:expires: is followed by an instant in UTC, such as 2030-01-31T12:00:00Z"
    )
