"""A log as tiles (c2sp.org/tlog-tiles), read from where it lies: nothing of it is stored twice.

Only what a checkpoint has been signed for is shown. Then a tile never changes, whatever becomes of what
was durable and not yet signed.
"""

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.errors import EvidenceError
from caracal.evidence.tiles import EntryBundle, Tile, render_bundle
from caracal_server.ports.evidence import EvidenceStore


class TileView:
    """The tiles and entry bundles of known logs."""

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store

    async def read(self, zone_id: ZoneId, place: Tile | EntryBundle) -> bytes | Refused:
        """Return what stands at a place.

        Raises:
            Unavailable: the store can not be reached, or entries are missing from it.
        """
        signed = await self._store.latest_checkpoint(zone_id)
        if signed is None or place.end > signed.size:
            return Refused(Reason.REQUEST_MALFORMED, "no checkpoint reaches that far")
        if isinstance(place, EntryBundle):
            return await self._bundle(zone_id, place)
        hashes = await self._store.tile(zone_id, place)
        if hashes is None:
            raise _missing(place)
        return hashes

    async def _bundle(self, zone_id: ZoneId, place: EntryBundle) -> bytes | Refused:
        entries = [one async for one in self._store.scan(zone_id, place.start, place.end)]
        # Asked afterwards: they may be dropped while they are read.
        first = await self._store.first_kept(zone_id)
        if place.start < first:
            return Refused(
                Reason.EVIDENCE_DROPPED, f"the entries before entry {first} have been dropped"
            )
        if [one.index for one in entries] != list(range(place.start, place.end)):
            raise _missing(place)
        try:
            return render_bundle([one.data for one in entries])
        except EvidenceError as fault:
            # Logs of before there was a limit: their entries are exported, and not in tiles.
            return Refused(Reason.REQUEST_MALFORMED, str(fault))


def _missing(place: Tile | EntryBundle) -> Unavailable:
    return Unavailable(Reason.EVIDENCE_UNAVAILABLE, f"some of {place.path} is missing from the log")
