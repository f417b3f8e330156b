"""The constraints of a delegation as JSON. A member we do not know could be a limit: it is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import msgspec

from caracal.authority.constraints import (
    MAX_BUDGET,
    MAX_HOPS,
    MAX_REASON,
    MAX_RESOURCES,
    Constraints,
)
from caracal.authority.resources import InvalidResource, ResourceUri, parse_resource_uri
from caracal.wire.errors import WireError
from caracal.wire.instants import parse_instant
from caracal.wire.json_bodies import MAX_SECONDS, explain

BROAD_REASON = "resource_null_delegation"


Value = TypeVar("Value")

_Hops = Annotated[int, msgspec.Meta(ge=1, le=MAX_HOPS)]
_Budget = Annotated[int, msgspec.Meta(ge=1, le=MAX_BUDGET)]
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)]
_Why = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON)]
_Resources = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_RESOURCES)]

_MEMBERS = frozenset(
    {
        "resources",
        "max_depth",
        "max_hops",
        "budget",
        "ttl_seconds",
        "policy_approved",
        "expires_at",
        "broad_reason",
    }
)


@dataclass(frozen=True, slots=True)
class StatedConstraints:
    """The limits a request states; `None` where it states nothing."""

    resources: frozenset[ResourceUri] | None
    max_hops: int | None
    budget: int | None
    ttl: timedelta | None
    expires_at: datetime | None
    broad_reason: str


class ConstraintMembers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Constraints as answered."""

    resources: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    max_hops: int
    ttl_seconds: int | msgspec.UnsetType = msgspec.UNSET
    budget: int | msgspec.UnsetType = msgspec.UNSET
    policy_approved: bool | msgspec.UnsetType = msgspec.UNSET
    broad_reason: str = ""


def merge_constraints(
    older: dict[str, msgspec.Raw] | None, newer: dict[str, msgspec.Raw] | None
) -> StatedConstraints:
    """Read the two forms a body may use; where both state a member, `newer` counts.

    `policy_approved` is read and ignored on purpose: nobody approves their own request.

    Raises:
        WireError: for an unknown member, a bad value, or `max_depth` and `max_hops` that differ.
    """
    stated = (older or {}) | (newer or {})
    unknown = sorted(set(stated) - _MEMBERS)
    if unknown:
        name = unknown[0][:60]
        raise WireError(
            f"constraints has the unknown member {name}; known are: {', '.join(sorted(_MEMBERS))}",
            code="invalid_delegation_constraint",
            field=f"constraints.{name}",
        )
    _read(stated, "policy_approved", bool)
    ttl = _read(stated, "ttl_seconds", _Seconds)
    return StatedConstraints(
        resources=_resources(_read(stated, "resources", _Resources)),
        max_hops=_hops(_read(stated, "max_depth", _Hops), _read(stated, "max_hops", _Hops)),
        budget=_read(stated, "budget", _Budget),
        ttl=None if ttl is None else timedelta(seconds=ttl),
        expires_at=read_instant(
            _read(stated, "expires_at", str), "constraints.expires_at", "invalid_expires_at"
        ),
        broad_reason=_read(stated, "broad_reason", _Why) or "",
    )


def constraints_json(limits: Constraints) -> ConstraintMembers:
    return ConstraintMembers(
        resources=msgspec.UNSET if limits.resources is None else sorted(limits.resources),
        max_hops=limits.hops,
        ttl_seconds=(
            msgspec.UNSET if limits.max_ttl is None else int(limits.max_ttl.total_seconds())
        ),
        budget=msgspec.UNSET if limits.budget is None else limits.budget,
        policy_approved=True if limits.broad else msgspec.UNSET,
        broad_reason=(limits.reason or BROAD_REASON) if limits.broad else "",
    )


def read_instant(text: str | None, member: str, code: str) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise WireError(f"{member}: {error}", code=code, field=member) from None


def _read(stated: dict[str, msgspec.Raw], name: str, kind: type[Value]) -> Value | None:
    raw = stated.get(name)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _refused(name, explain(error)[1]) from None


def _hops(depth: int | None, hops: int | None) -> int | None:
    if depth is not None and hops is not None and depth != hops:
        raise _refused("max_hops", "max_depth is another name for it: state one, or both the same")
    return depth if hops is None else hops


def _resources(texts: tuple[str, ...] | None) -> frozenset[ResourceUri] | None:
    if texts is None:
        return None
    try:
        return frozenset(parse_resource_uri(text) for text in texts)
    except InvalidResource as error:
        raise _refused("resources", str(error)) from None


def _refused(name: str, problem: str) -> WireError:
    member = f"constraints.{name}"
    return WireError(f"{member}: {problem}", code=f"invalid_{name}", field=member)
