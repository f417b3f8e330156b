"""The policy of a zone where a set of data documents was activated: it says so in its first line."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from caracal.authority.policy.documents.bundle import Bundle
from caracal.authority.policy.documents.translation import ZoneNames, translate
from caracal.authority.zones import Application
from caracal_server.control.desired_zone import desire
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.policy_library import Item
from caracal_server.ports.zones import ZoneRecord

_FIRST_LINE: Final = re.compile(r"// data documents: set (\S+) version (\S+) sha256 ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ActiveSet:
    """Which version of which policy set is in effect."""

    set_id: str
    version_id: str


def policy_text(active: ActiveSet, bundle: Bundle, names: ZoneNames) -> str:
    """What a bundle says in a zone with these names, in Cedar, and where it is from."""
    cedar = translate(bundle, names).cedar
    digest = sha256(cedar.encode()).hexdigest()
    return (
        f"// data documents: set {active.set_id} version {active.version_id} sha256 {digest}\n"
        f"{cedar}"
    )


def active_set(text: str | None) -> ActiveSet | None:
    """Where a zone's policy is from; `None` when it is from elsewhere, or was edited since."""
    head, _, cedar = (text or "").partition("\n")
    found = _FIRST_LINE.fullmatch(head)
    if found is None or sha256(cedar.encode()).hexdigest() != found[3]:
        return None
    return ActiveSet(found[1], found[2])


def active_version(item: Item, active: ActiveSet | None) -> str | None:
    """The version of a policy set that is in effect."""
    return None if active is None or active.set_id != item.id else active.version_id


def active_in(record: ZoneRecord) -> ActiveSet | None:
    return active_set(None if record.policy is None else record.policy.text)


def names_in(record: ZoneRecord) -> ZoneNames:
    """What documents can name in a zone as it is."""
    return ZoneNames(
        {entry.id: entry.name for entry in record.applications},
        {entry.identifier: entry.scopes.scopes for entry in record.resources},
    )


def names_after(record: ZoneRecord, document: ZoneDocument) -> ZoneNames:
    """What they will be able to name once the document is applied; nothing that has no id yet."""
    wanted = desire(document, record, new_id=str)
    return ZoneNames(
        {entry.id: entry.name for entry in wanted.applications if _is_known(entry)},
        {entry.identifier: entry.scopes.scopes for entry in wanted.resources},
    )


def _is_known(entry: Application) -> bool:
    return entry.id != ""
