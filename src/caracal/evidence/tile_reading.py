"""Reading a log from its tiles: each is held to the root before anything in it is believed."""

from collections.abc import Callable, Iterable

from caracal.evidence.errors import EvidenceError
from caracal.evidence.proofs import (
    ConsistencyProof,
    InclusionProof,
    prove_consistency,
    prove_inclusion,
)
from caracal.evidence.tiles import (
    HEIGHT,
    WIDTH,
    Tile,
    edge_tiles,
    peaks_within,
    split_hashes,
    subtree,
    tile_at,
)
from caracal.evidence.tree import EMPTY_ROOT, NodeId, fold

TileReader = Callable[[Tile], bytes]
"""Returns what is at a tile's path, whatever that is."""


class VerifiedTiles:
    """The tiles of one tree, of a known size and root, from a source that is not trusted.

    Keeps one full tile for each level, and those at the right edge: constant memory, and neighbours
    share the tiles above them.
    """

    def __init__(self, size: int, root: bytes, read: TileReader) -> None:
        """Read the tiles at the right edge, which make up the root.

        Raises:
            EvidenceError: they do not.
        """
        self._size = size
        self._read = read
        self._edge = {tile: split_hashes(read(tile), tile.width) for tile in edge_tiles(size)}
        peaks = [peak for hashes in self._edge.values() for peak in peaks_within(hashes)]
        if (fold(peaks) if peaks else EMPTY_ROOT) != root:
            raise EvidenceError("the tiles at the right edge do not have the root")
        self._last: dict[int, tuple[int, tuple[bytes, ...]]] = {}

    def hashes(self, tile: Tile) -> tuple[bytes, ...]:
        """Return the hashes of a tile of this tree.

        Raises:
            EvidenceError: it is none of this tree, or what was read is not what it holds.
        """
        if tile in self._edge:
            return self._edge[tile]
        if tile.width < WIDTH or tile.end > self._size:
            raise EvidenceError(f"{tile.path} is no tile of this tree")
        last = self._last.get(tile.level)
        if last is not None and last[0] == tile.index:
            return last[1]
        above = self.hashes(tile_at(tile.level + 1, tile.index // WIDTH, self._size))
        hashes = split_hashes(self._read(tile), WIDTH)
        if subtree(hashes) != above[tile.index % WIDTH]:
            raise EvidenceError(f"{tile.path} does not lead to the root")
        self._last[tile.level] = tile.index, hashes
        return hashes

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete node of this tree: a `NodeReader` of proofs.

        Raises:
            EvidenceError: see `hashes`.
        """
        tile, first, count = _place(NodeId(level, index), self._size)
        return subtree(self.hashes(tile)[first : first + count])

    def inclusion(self, index: int, size: int) -> InclusionProof:
        """Prove that an entry is in the tree of `size` leaves that this one began as.

        Raises:
            EvidenceError: there is no such proof, or see `hashes`.
        """
        return prove_inclusion(index, size, self.node)

    def consistency(self, old_size: int) -> ConsistencyProof:
        """Prove that the tree of `old_size` leaves is how this one began.

        Raises:
            EvidenceError: there is no such proof, or see `hashes`.
        """
        return prove_consistency(old_size, self._size, self.node)


def tiles_under(nodes: Iterable[NodeId], size: int) -> tuple[Tile, ...]:
    """Name the tiles that hold these nodes of a tree of `size` leaves, each once."""
    return tuple(dict.fromkeys(_place(node, size)[0] for node in nodes))


def _place(node: NodeId, size: int) -> tuple[Tile, int, int]:
    """Find a node: its tile, the first of its hashes there, and how many make it up."""
    level, height = divmod(node.level, HEIGHT)
    first = node.index << height
    tile = tile_at(level, first // WIDTH, size)
    return tile, first % WIDTH, 1 << height
