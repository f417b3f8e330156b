"""The Cedar that says what data documents say, in one zone as it is now.

Every permit names its application, its scopes and its resource: there are no patterns here, so that a
star in a name is a star.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from caracal.authority.identifiers import ApplicationId
from caracal.authority.policy.documents.bundle import Bundle
from caracal.authority.policy.reading import MAX_ID
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import LIFECYCLE, Scope

_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class ZoneNames:
    """The zone's applications by id, and what each of its resources declares."""

    applications: Mapping[ApplicationId, str]
    resources: Mapping[ResourceUri, frozenset[Scope]]

    @property
    def scopes(self) -> frozenset[Scope]:
        return frozenset[Scope]().union(*self.resources.values()) - {LIFECYCLE}


@dataclass(frozen=True, slots=True)
class Translation:
    """Documents as Cedar.

    Attributes:
        cedar: the policies, in an order that the documents' own does not change.
        unmatched: what the documents name and the zone does not have; it permits nothing.
    """

    cedar: str
    unmatched: tuple[str, ...]


def translate(bundle: Bundle, names: ZoneNames) -> Translation:
    """Say in Cedar what a bundle says. The same bundle and names give the same text."""
    policies = [
        *_grants(bundle, names),
        *_restrictions(bundle),
        *_confinement(bundle, names),
        *_approvals(bundle, names),
    ]
    return Translation("\n".join(policies), tuple(_unmatched(bundle, names)))


def _grants(bundle: Bundle, names: ZoneNames) -> Iterator[str]:
    for resource in sorted(bundle.grants):
        owner = bundle.owner(resource)
        application = None if owner is None else names.applications.get(owner)
        declared = names.resources.get(resource, frozenset())
        for role, granted in sorted(bundle.grants[resource].roles.items()):
            scopes = (granted & declared) - {LIFECYCLE}
            if application is not None and scopes:
                yield (
                    f"{_id(f'{role} on {resource}')}\n"
                    f"permit (\n"
                    f"  principal == Application::{_quoted(application)},\n"
                    f"  action in {_actions(scopes)},\n"
                    f"  resource == Resource::{_quoted(resource)}\n"
                    f") when {{ context.session.labels.contains({_quoted(role)}) }};\n"
                )


def _restrictions(bundle: Bundle) -> Iterator[str]:
    if bundle.restrict:
        yield f"{_id('restriction active')}\nforbid (principal, action, resource);\n"


def _confinement(bundle: Bundle, names: ZoneNames) -> Iterator[str]:
    """Both as a mandate is minted and at each call."""
    rules = sorted((one.label_prefix, sorted(one.scopes)) for one in bundle.confinement)
    for at, (prefix, scopes) in enumerate(rules):
        known = names.scopes.intersection(scopes)
        unless = f"\nunless {{ action in {_actions(known)} }}" if known else ""
        yield (
            f"{_id(f'confinement {at} of {prefix}')}\n"
            f"forbid (principal, action, resource)\n"
            f"when {{ context.session.label_prefixes.contains({_quoted(prefix)}) }}{unless};\n"
        )


def _approvals(bundle: Bundle, names: ZoneNames) -> Iterator[str]:
    """Nobody can approve yet: what needs a human is refused."""
    for tier in sorted({one.tier for one in bundle.approval_tiers}):
        scopes = {scope for scope, its in bundle.risk.items() if its == tier} & names.scopes
        if scopes:
            yield (
                f"{_id(f'approval needed: {tier}')}\n"
                f"forbid (principal, action in {_actions(scopes)}, resource);\n"
            )


def _unmatched(bundle: Bundle, names: ZoneNames) -> Iterator[str]:
    for resource in sorted(bundle.grants):
        grant = bundle.grants[resource]
        owner = bundle.owner(resource)
        if owner is None:
            yield f"{resource}: app_ids has no {grant.application}"
        elif owner not in names.applications:
            yield f"{resource}: the zone has no application {owner}"
        if resource not in names.resources:
            yield f"the zone has no resource {resource}"
            continue
        granted = frozenset[Scope]().union(*grant.roles.values())
        for scope in sorted(granted - names.resources[resource] - {LIFECYCLE}):
            yield f"{resource} does not declare {scope}"


def _id(name: str) -> str:
    if len(name) > MAX_ID:
        digest = sha256(name.encode()).hexdigest()[:_DIGITS]
        name = f"{name[: MAX_ID - _DIGITS - 1]} {digest}"
    return f"@id({_quoted(name)})"


def _actions(scopes: Iterable[str]) -> str:
    return "[" + ", ".join(f"Action::{_quoted(scope)}" for scope in sorted(scopes)) + "]"


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
