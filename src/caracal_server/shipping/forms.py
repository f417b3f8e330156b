"""How one entry reads outside: an OCSF event, or the entry in an envelope."""

import base64

import msgspec

from caracal_server.shipping.batches import Batch, Line, Log
from caracal_server.shipping.config import Form
from caracal_server.shipping.ocsf import ocsf_event


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry and its place. `data` stands for an entry that is no JSON text (base64).

    `raw` is the entry as text; `SHA-256(0x00 || raw)` is its leaf hash.
    """

    log: str
    zone: str
    index: int
    leaf_hash: str
    raw: str = ""
    data: str = ""
    intact: bool = True


def envelope(log: Log, line: Line) -> Envelope:
    """Wrap an entry, whatever it holds."""
    placed = line.placed
    try:
        raw, data = placed.data.decode(), ""
    except UnicodeDecodeError:
        raw, data = "", base64.b64encode(placed.data).decode()
    return Envelope(log.origin, log.zone, placed.index, placed.leaf_hash, raw, data, line.intact)


def render(batch: Batch, form: Form) -> list[bytes]:
    """One JSON text for each entry, in order."""
    if batch.raw or form == "entry":
        return [msgspec.json.encode(envelope(batch.log, line)) for line in batch.lines]
    return [msgspec.json.encode(ocsf_event(batch.log, line)) for line in batch.lines]
