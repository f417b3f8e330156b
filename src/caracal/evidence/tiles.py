"""Tiles: the tree and its entries as files that never change (c2sp.org/tlog-tiles).

A tile of level L holds up to 256 hashes of the tree's level 8 * L, side by side. It is
*full* with 256 of them; at the right edge of the tree it is partial, and never empty. An
entry bundle holds the entries whose hashes are in the tile of level 0 of the same index.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from caracal.evidence.errors import EvidenceError
from caracal.evidence.tree import HASH_BYTES, MAX_SIZE, fold, leaf_hash, node_hash, peak_nodes

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 0xFFFF
"""What the length before an entry in a bundle can say."""
MAX_BUNDLE_BYTES = WIDTH * (2 + MAX_ENTRY_BYTES)

_LENGTH_BYTES = 2
_PATH = re.compile(
    r"tile/(?:(entries)|(0|[1-9][0-9]?))/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


class Tile(msgspec.Struct, frozen=True, gc=False):
    """A tile of hashes, by its place.

    Raises:
        EvidenceError: on construction, for a tile that no tree has.
    """

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        _require(self.level, self.index, self.width)

    @property
    def path(self) -> str:
        """Where it is below the log's prefix."""
        return f"tile/{self.level}/{_rendered(self.index, self.width)}"

    @property
    def start(self) -> int:
        """The first entry under it."""
        return self.index << HEIGHT * (self.level + 1)

    @property
    def end(self) -> int:
        """One more than the last entry under it."""
        return self.start + (self.width << HEIGHT * self.level)


class EntryBundle(msgspec.Struct, frozen=True, gc=False):
    """A bundle of entries, by its place.

    Raises:
        EvidenceError: on construction, for a bundle that no log has.
    """

    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        _require(0, self.index, self.width)

    @property
    def path(self) -> str:
        """Where it is below the log's prefix."""
        return f"tile/entries/{_rendered(self.index, self.width)}"

    @property
    def start(self) -> int:
        """Its first entry."""
        return self.index << HEIGHT

    @property
    def end(self) -> int:
        """One more than its last entry."""
        return self.start + self.width


def parse_path(path: str) -> Tile | EntryBundle:
    """Parse what `path` of a tile or a bundle renders.

    Raises:
        EvidenceError: it is malformed, or written another way.
    """
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise EvidenceError("not the path of a tile")
    entries, level, number, partial = parts.groups()
    index = int(number.replace("x", "").replace("/", ""))
    width = WIDTH if partial is None else int(partial)
    found = EntryBundle(index, width) if entries else Tile(int(level), index, width)
    if found.path != path:
        raise EvidenceError("the path of the tile is not written in the one way there is")
    return found


def tile_at(level: int, index: int, size: int) -> Tile:
    """The tile at a place in a tree of `size` leaves, as wide as it is there.

    Raises:
        EvidenceError: there is none.
    """
    return Tile(level, index, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def edge_tiles(size: int) -> tuple[Tile, ...]:
    """The partial tiles of a tree, highest first: together they cover all of its leaves."""
    levels = reversed(range((size.bit_length() + HEIGHT - 1) // HEIGHT))
    hashes = ((level, size >> HEIGHT * level) for level in levels)
    return tuple(Tile(level, n // WIDTH, n % WIDTH) for level, n in hashes if n % WIDTH)


def new_tiles(old_size: int, size: int) -> Iterator[Tile]:
    """The tiles of a tree of `size` leaves that it lacked at `old_size`, highest level first."""
    for level in reversed(range((size.bit_length() + HEIGHT - 1) // HEIGHT)):
        before, hashes = old_size >> HEIGHT * level, size >> HEIGHT * level
        if before < hashes:
            for index in range(before // WIDTH, -(-hashes // WIDTH)):
                yield tile_at(level, index, size)


def new_bundles(old_size: int, size: int) -> Iterator[EntryBundle]:
    """The entry bundles of a log of `size` entries that it lacked at `old_size`."""
    if old_size < size:
        for index in range(old_size // WIDTH, -(-size // WIDTH)):
            yield EntryBundle(index, min(WIDTH, size - index * WIDTH))


def render_bundle(entries: Sequence[bytes]) -> bytes:
    """Render an entry bundle: each entry after its length, 16 bits, big-endian.

    Raises:
        EvidenceError: one of them is longer than that can say.
    """
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise EvidenceError(f"an entry of a bundle has at most {MAX_ENTRY_BYTES} bytes")
    return b"".join([len(one).to_bytes(_LENGTH_BYTES, "big") + one for one in entries])


def parse_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Parse a bundle of `width` entries.

    Raises:
        EvidenceError: it is cut off, or holds another number of entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        length = int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES + length
        entries.append(data[at - length : at])
    if at != len(data) or len(entries) != width:
        raise EvidenceError(f"not an entry bundle of {width} entries")
    return tuple(entries)


def split_hashes(data: bytes, width: int) -> tuple[bytes, ...]:
    """Take a tile of `width` hashes apart.

    Raises:
        EvidenceError: it holds another number.
    """
    if len(data) != width * HASH_BYTES:
        raise EvidenceError(f"not a tile of {width} hashes")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def subtree(hashes: Sequence[bytes]) -> bytes:
    """Hash a power of two of complete nodes that stand side by side into the one above them."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def peaks_within(hashes: Sequence[bytes]) -> list[bytes]:
    """Hash a partial tile into as few complete nodes as there are, widest first."""
    nodes = peak_nodes(len(hashes))
    return [subtree(hashes[n.index << n.level : (n.index + 1) << n.level]) for n in nodes]


class TileBuilder:
    """Makes every tile of a log from its leaf hashes, in turn and in constant memory."""

    def __init__(self) -> None:
        self._rows: list[list[bytes]] = []
        self.size = 0

    def add(self, leaf: bytes) -> list[tuple[Tile, bytes]]:
        """Take the next leaf hash; return the tiles it makes full, lowest first."""
        full: list[tuple[Tile, bytes]] = []
        self.size += 1
        value, level = leaf, 0
        while True:
            if level == len(self._rows):
                self._rows.append([])
            row = self._rows[level]
            row.append(value)
            if len(row) < WIDTH:
                return full
            index = (self.size >> HEIGHT * (level + 1)) - 1
            full.append((Tile(level, index), b"".join(row)))
            value, level = subtree(row), level + 1
            row.clear()

    def partial(self) -> list[tuple[Tile, bytes]]:
        """Return the tiles at the right edge, highest first."""
        return [(tile, b"".join(self._rows[tile.level])) for tile in edge_tiles(self.size)]

    def root(self) -> bytes:
        """Return the root of the tree.

        Raises:
            IndexError: there is no leaf.
        """
        return fold([peak for row in reversed(self._rows) for peak in peaks_within(row)])


def leaves_of(entries: Sequence[bytes]) -> tuple[bytes, ...]:
    """Hash the entries of a bundle into the tile of level 0 that belongs to it."""
    return tuple(leaf_hash(entry) for entry in entries)


def _rendered(index: int, width: int) -> str:
    """Write the index in groups of three digits, all but the last with an x, and the width."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return number if width == WIDTH else f"{number}.p/{width}"


def _require(level: int, index: int, width: int) -> None:
    if not (0 <= level <= MAX_LEVEL and 0 < width <= WIDTH and index >= 0):
        raise EvidenceError("there is no such tile")
    if (index * WIDTH + width) << HEIGHT * level > MAX_SIZE:
        raise EvidenceError("a tree of that many leaves can not be")
