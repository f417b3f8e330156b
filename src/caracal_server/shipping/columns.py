"""Entries as columns: every field of an entry under its own name, and what it needs to be proven."""

import io
from typing import TYPE_CHECKING, Any, Final, get_origin

import msgspec

from caracal.authority.events import Entry
from caracal_server.shipping.batches import Batch, Line

if TYPE_CHECKING:
    import pyarrow as pa

PLACE: Final = ("log", "index", "leaf_hash", "intact", "raw")
INSTANTS: Final = frozenset({"at", "sequenced_at", "expires_at"})
LEFT_OUT: Final = frozenset({"zone"})
"""It is a part of the file's path, as `zone=`; a column besides would be in a reader's way."""

FIELDS: Final = tuple(
    field for field in msgspec.structs.fields(Entry) if field.name not in LEFT_OUT
)


def schema() -> "pa.Schema":
    """The schema of every file."""
    import pyarrow as pa  # noqa: PLC0415 - only where Parquet is written: the `export` extra

    place = [
        pa.field("log", pa.string(), nullable=False),
        pa.field("index", pa.int64(), nullable=False),
        pa.field("leaf_hash", pa.string(), nullable=False),
        pa.field("intact", pa.bool_(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
    ]
    return pa.schema([*place, *(pa.field(it.name, _type(it.name, it.type)) for it in FIELDS)])


def _type(name: str, python: Any) -> "pa.DataType":
    import pyarrow as pa  # noqa: PLC0415 - as above

    if name in INSTANTS:
        return pa.timestamp("us", tz="UTC")
    if get_origin(python) is tuple:
        return pa.list_(pa.string())
    if get_origin(python) is dict:
        return pa.map_(pa.string(), pa.string())
    return pa.int64() if python is int else pa.string()


def parquet(batch: Batch) -> bytes:
    """A Parquet file of a batch: the same bytes each time, as far as the library's version is the same."""
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    shape = schema()
    rows = [_row(batch, line) for line in batch.lines]
    table = pa.Table.from_pylist(rows, schema=shape)
    written = io.BytesIO()
    pq.write_table(table, written, compression="zstd")
    return written.getvalue()


def _row(batch: Batch, line: Line) -> dict[str, object]:
    placed = line.placed
    place = (batch.log.origin, placed.index, placed.leaf_hash, line.intact, placed.data)
    row: dict[str, object] = dict(zip(PLACE, place, strict=True))
    for field in FIELDS if line.entry is not None and not batch.raw else ():
        value = getattr(line.entry, field.name)
        if field.name in INSTANTS:
            value = value or None
        row[field.name] = list(value.items()) if isinstance(value, dict) else value
    return row
