"""Which policy set is in effect: the policy of the zone has to be what its documents say, to the letter."""

from caracal_server.control.admin.policy_shelf import Shelf, Shelves
from caracal_server.control.admin.policy_text import ActiveSet, active_in, names_in, policy_text
from caracal_server.ports.policy_library import ItemKind
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.problems import RequestRefused


async def in_effect(shelves: Shelves, shelf: Shelf, record: ZoneRecord) -> ActiveSet | None:
    """The set that the policy says it is from, if it says what the documents of the set say.

    Whoever applies zone files can write any first line: it is believed once the rest follows from it.

    Raises:
        Unavailable: the documents can not be read.
    """
    active = active_in(record)
    version = None if active is None else shelf.find(ItemKind.SET_VERSION, active.version_id)
    if active is None or record.policy is None or version is None:
        return None
    try:
        bundle = await shelves.bundle(shelf, version)
    except RequestRefused:
        return None
    said = policy_text(active, bundle, names_in(record))
    return active if version.parent == active.set_id and said == record.policy.text else None
