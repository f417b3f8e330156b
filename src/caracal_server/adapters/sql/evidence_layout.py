"""How a log lies in its tables, so that appending only ever touches their end.

Place. Log and index of an entry in one number: the only key of the entries, which therefore grow at their
end, whichever zone they are of.

Hashes. An entry's row holds the hashes of all subtrees that the entry completes, its own leaf first. So
the tree costs no rows of its own, and any node is in the row of its last entry.

Spans. An index on sessions or requests would touch a page of its own for nearly every entry, and writing
pages is what a commit costs. Instead each run of 512 entries, once whole, is summed up: which values
it mentions and what time it covers. A value that has a column is mentioned as it is, what stands only in
the entries as a term (`evidence_terms.py`); `TERMS` says that those are there too. A search reads the
summaries, then only the spans that may match. What whole stretches of spans mention is summed up once
more (`evidence_filters.py`), so that the summaries of few spans are read.

Dropped entries. Of 256 entries that were dropped a single row is left: their leaf hashes, then the hashes
of the larger subtrees that the last of them completes. What lies between can be computed from these.
"""

from collections.abc import Iterable, Iterator, Sequence

from caracal.evidence.tiles import HEIGHT
from caracal_server.ports.evidence import LogBatch, TreeNode

INDEX_BITS = 40
SPAN_BITS = 9
SPAN = 1 << SPAN_BITS
HASH_BYTES = 32
TERMS = "terms:1"
"""Mentioned by every span that was summed up with its terms; older ones may hold any.

Who changes it drops the rows of `evidence_filter`: they lack the terms that come to be.
"""
LOG_PLACES = 1 << INDEX_BITS

# INVARIANT: these widths never change; places and spans are stored.


def place_of(log: int, index: int) -> int:
    return log << INDEX_BITS | index


def index_of(place: int) -> int:
    return place & LOG_PLACES - 1


def span_of(log: int, index: int) -> int:
    return place_of(log, index) >> SPAN_BITS


def tile_of(log: int, index: int) -> int:
    """Number of the row that is left of an entry's 256 neighbours once they are dropped."""
    return place_of(log, index) >> HEIGHT


def last_entry_under(level: int, index: int) -> int:
    """Index of the entry that completes a node, in whose row its hash is."""
    return ((index + 1) << level) - 1


def hash_at(hashes: bytes, level: int) -> bytes:
    return hashes[level * HASH_BYTES : (level + 1) * HASH_BYTES]


def peaks_of(size: int) -> tuple[tuple[int, int], ...]:
    """Level and index of the peaks of a tree of `size` leaves, largest first."""
    peaks, covered = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            peaks.append((level, covered >> level))
            covered += 1 << level
    return tuple(peaks)


def completed_spans(before: int, after: int) -> range:
    """Number within the log of the spans that growing from `before` to `after` entries makes whole."""
    return range(before >> SPAN_BITS, after >> SPAN_BITS)


def completed_stretches(log: int, before: int, after: int, width: int) -> Iterator[range]:
    """The spans of each run of `width` that growing from `before` to `after` entries makes whole."""
    base = span_of(log, 0)
    for number in range((before >> SPAN_BITS) // width, (after >> SPAN_BITS) // width):
        yield range(base + number * width, base + (number + 1) * width)


def row_hashes(batch: LogBatch) -> Sequence[bytes]:
    """The `hashes` of each row of a batch.

    Raises:
        ValueError: the batch does not fit together, or lacks a node that it completes.
    """
    first = batch.before.size
    count = len(batch.entries)
    if batch.after.size != first + count or len(batch.records) != count:
        raise ValueError("the positions of a batch do not match its entries")
    if any(entry.index != first + at for at, entry in enumerate(batch.entries)):
        raise ValueError("the entries of a batch do not follow each other")
    hashes = [entry.leaf_hash for entry in batch.entries]
    for node in _above_leaves(batch.nodes):
        at = last_entry_under(node.level, node.index) - first
        if not 0 <= at < count or len(hashes[at]) != node.level * HASH_BYTES:
            raise ValueError("a node of the batch is not completed by it")
        hashes[at] += node.hash
    for at, stored in enumerate(hashes, first):
        completed = (~at & at + 1).bit_length()
        if len(stored) != completed * HASH_BYTES:
            raise ValueError("the batch lacks a node that it completes")
    return hashes


def _above_leaves(nodes: Iterable[TreeNode]) -> list[TreeNode]:
    return sorted((node for node in nodes if node.level), key=_level)


def _level(node: TreeNode) -> int:
    return node.level
