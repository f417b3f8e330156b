"""What applying a document would change: a pure comparison of what is with what shall be."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import sha256
from typing import Final, TypeVar

from caracal.authority.resources import Resource
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.zones import Application, Provider
from caracal_server.control.desired_zone import DesiredZone
from caracal_server.ports.zones import ZoneRecord

_SHOWN_IN_SUMMARY: Final = 20
_SPELLINGS: Final = {"upstream_url": "upstream", "provider_id": "provider", "contents": "resources"}

Entry = TypeVar("Entry", Application, Provider, Resource, SubjectIssuer)


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes.

    Attributes:
        kind: zone, application, provider, resource, subject_issuer or policy.
        name: of a resource its identifier, of a policy the digest of the version, of an issuer its URL.
        fields: those that change, as a zone file spells them; never their values.
    """

    action: Action
    kind: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        listed = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.action} {self.kind} {self.name}{listed}"


@dataclass(frozen=True, slots=True)
class SecretChanges:
    """The names of those whose secret is not what the document says any more."""

    applications: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """The changes in a stable order: by kind, then by name. Without any, applying does nothing."""

    changes: tuple[Change, ...]

    def summary(self) -> str:
        """One line for the evidence."""
        shown = "; ".join(map(str, self.changes[:_SHOWN_IN_SUMMARY]))
        more = len(self.changes) - _SHOWN_IN_SUMMARY
        return f"{shown}; and {more} more" if more > 0 else shown


def plan_zone(desired: DesiredZone, record: ZoneRecord | None, secrets: SecretChanges) -> ZonePlan:
    """Compare a zone as it is with what a document asks for.

    Args:
        desired: what the document asks for.
        record: the zone as it is; `None` when there is none of that name.
        secrets: whose secrets differ; told apart elsewhere, because comparing them takes keys.
    """
    changes: list[Change] = []
    if record is None:
        changes.append(Change(Action.CREATE, "zone", desired.name))
    elif record.archived_at is not None:
        changes.append(Change(Action.UPDATE, "zone", desired.name, ("archived",)))
    elif record.title != desired.title:
        changes.append(Change(Action.UPDATE, "zone", desired.name, ("title",)))
    changes += _compare(
        "application",
        record.applications if record else (),
        desired.applications,
        dict.fromkeys(secrets.applications, "secret"),
        lambda entry: entry.name,
    )
    changes += _compare(
        "provider",
        record.providers if record else (),
        desired.providers,
        dict.fromkeys(secrets.providers, "credential"),
        lambda entry: entry.name,
    )
    changes += _compare(
        "resource",
        record.resources if record else (),
        desired.resources,
        {},
        lambda entry: entry.identifier,
    )
    changes += _compare(
        "subject_issuer",
        record.subject_issuers if record else (),
        desired.subject_issuers,
        {},
        lambda entry: entry.issuer,
    )
    changes += _compare_policies(record, desired.policy)
    return ZonePlan(tuple(changes))


def policy_digest(text: str) -> str:
    """What a policy version is called: SHA-256 of its text, in hex."""
    return sha256(text.encode()).hexdigest()


def _compare(
    kind: str,
    before: Iterable[Entry],
    after: Iterable[Entry],
    secrets: Mapping[str, str],
    name_of: Callable[[Entry], str],
) -> Iterator[Change]:
    old = {name_of(entry): entry for entry in before}
    new = {name_of(entry): entry for entry in after}
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield Change(Action.DELETE, kind, name)
        elif name not in old:
            yield Change(Action.CREATE, kind, name)
        else:
            secret = (secrets[name],) if name in secrets else ()
            if changed := _differing(old[name], new[name]) + secret:
                yield Change(Action.UPDATE, kind, name, changed)


def _differing(
    old: Application | Provider | Resource | SubjectIssuer,
    new: Application | Provider | Resource | SubjectIssuer,
) -> tuple[str, ...]:
    return tuple(
        _SPELLINGS.get(field.name, field.name)
        for field in fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
    )


def _compare_policies(record: ZoneRecord | None, text: str | None) -> Iterator[Change]:
    before = None if record is None or record.policy is None else record.policy.digest
    after = None if text is None else policy_digest(text)
    if before == after:
        return
    if after is None:
        yield Change(Action.DELETE, "policy", before or "")
    elif before is None:
        yield Change(Action.CREATE, "policy", after)
    else:
        yield Change(Action.UPDATE, "policy", after, ("text",))
