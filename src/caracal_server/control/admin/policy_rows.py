"""What the admin API shows of data documents, their versions and their sets."""

from typing import Final

import msgspec

from caracal_server.control.admin.rows import Row
from caracal_server.ports.policy_library import Item

SCHEMA_VERSION: Final = "2026-05-20"


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """`version_id` is `id`, under the name that other answers have for it."""

    id: str
    version_id: str
    version: int
    schema_version: str = SCHEMA_VERSION
    created_at: str


class PolicyVersionRow(VersionRow, frozen=True, kw_only=True):
    policy_id: str
    content_sha256: str
    content: str | msgspec.UnsetType = msgspec.UNSET


class PolicyRow(Row, frozen=True, kw_only=True):
    name: str
    description: str | None


class PolicyDetail(PolicyRow, frozen=True, kw_only=True):
    versions: tuple[PolicyVersionRow, ...]


class NewPolicyRow(PolicyRow, frozen=True, kw_only=True):
    version_id: str
    version: PolicyVersionRow


class ManifestEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    policy_version_id: str


class SetVersionRow(VersionRow, frozen=True, kw_only=True):
    policy_set_id: str
    manifest_sha256: str
    manifest: tuple[ManifestEntry, ...]


class PolicySetRow(Row, frozen=True, kw_only=True):
    """`active_version_id` is null unless this set is the one in effect."""

    name: str
    description: str | None
    active_version_id: str | None


class PolicySetDetail(PolicySetRow, frozen=True, kw_only=True):
    versions: tuple[SetVersionRow, ...]


def policy_row(item: Item, description: str) -> PolicyRow:
    return PolicyRow(
        id=item.id,
        zone_id=item.zone_id,
        created_at=item.created_at,
        name=item.name,
        description=description or None,
    )


def policy_detail(
    item: Item, description: str, versions: tuple[PolicyVersionRow, ...]
) -> PolicyDetail:
    return PolicyDetail(
        id=item.id,
        zone_id=item.zone_id,
        created_at=item.created_at,
        name=item.name,
        description=description or None,
        versions=versions,
    )


def new_policy_row(item: Item, description: str, version: Item) -> NewPolicyRow:
    made = policy_version_row(version)
    return NewPolicyRow(
        id=item.id,
        zone_id=item.zone_id,
        created_at=item.created_at,
        name=item.name,
        description=description or None,
        version_id=made.id,
        version=made,
    )


def policy_version_row(
    item: Item, content: str | msgspec.UnsetType = msgspec.UNSET
) -> PolicyVersionRow:
    return PolicyVersionRow(
        id=item.id,
        version_id=item.id,
        policy_id=item.parent,
        version=int(item.name),
        content_sha256=item.digest,
        created_at=item.created_at.isoformat(),
        content=content,
    )


def set_version_row(item: Item, manifest: tuple[str, ...]) -> SetVersionRow:
    return SetVersionRow(
        id=item.id,
        version_id=item.id,
        policy_set_id=item.parent,
        version=int(item.name),
        manifest_sha256=item.digest,
        created_at=item.created_at.isoformat(),
        manifest=tuple(map(ManifestEntry, manifest)),
    )


def policy_set_row(item: Item, description: str, active_version: str | None) -> PolicySetRow:
    return PolicySetRow(
        id=item.id,
        zone_id=item.zone_id,
        created_at=item.created_at,
        name=item.name,
        description=description or None,
        active_version_id=active_version,
    )


def policy_set_detail(row: PolicySetRow, versions: tuple[SetVersionRow, ...]) -> PolicySetDetail:
    return PolicySetDetail(
        id=row.id,
        zone_id=row.zone_id,
        created_at=row.created_at,
        name=row.name,
        description=row.description,
        active_version_id=row.active_version_id,
        versions=versions,
    )
