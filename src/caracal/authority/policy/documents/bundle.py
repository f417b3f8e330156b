"""Several data documents as one: what a policy set says."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from caracal.authority.identifiers import ApplicationId
from caracal.authority.policy.documents.data_document import (
    ApprovalTier,
    Confinement,
    DataDocument,
    Ownership,
)
from caracal.authority.policy.documents.problems import BundleInvalid
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import Scope

_ADDED: Final = "added_restrictions"


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that a policy set's documents define. What none of them mentions is empty."""

    app_ids: Mapping[str, ApplicationId]
    grants: Mapping[ResourceUri, Ownership]
    confinement: frozenset[Confinement]
    restrict: frozenset[str]
    risk: Mapping[Scope, str]
    approval_tiers: frozenset[ApprovalTier]

    def owner(self, resource: ResourceUri) -> ApplicationId | None:
        """The application that owns a resource; `None` when nobody does."""
        ownership = self.grants.get(resource)
        return None if ownership is None else self.app_ids.get(ownership.application)


def merge(documents: Mapping[str, DataDocument]) -> Bundle:
    """Take documents together, by name.

    Raises:
        BundleInvalid: two of them define the same rule, and not in the same way.
    """
    defined: dict[str, tuple[str, object]] = {}
    for name, document in documents.items():
        for field in fields(DataDocument):
            value = getattr(document, field.name)
            if field.name == _ADDED or value is None:
                continue
            first, present = defined.setdefault(field.name, (name, value))
            if present != value:
                raise BundleInvalid(f"{field.name} is defined by {first} and, otherwise, by {name}")
    whole = DataDocument(**{rule: value for rule, (_, value) in defined.items()})  # type: ignore[arg-type] # each as its own field had it
    added = (document.added_restrictions for document in documents.values())
    return Bundle(
        app_ids=whole.app_ids or {},
        grants=whole.grants or {},
        confinement=whole.confinement or frozenset(),
        restrict=(whole.restrict or frozenset()).union(*added),
        risk=whole.risk or {},
        approval_tiers=whole.approval_tiers or frozenset(),
    )
