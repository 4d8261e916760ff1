"""The right edge of the tree: what must be remembered to append, and which tiles an append completes.

Pure. The sequencer appends to a copy and keeps the copy only when the transaction was committed, so an edge
never runs ahead of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..merkle import Frontier, HashReader, root
from ..tile import TILE_HEIGHT, TILE_WIDTH, Tile, bundle_entries


@dataclass(frozen=True, slots=True)
class TileData:
    """A tile or bundle and its bytes."""

    tile: Tile
    data: bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """The tiles that a tree needs and did not have when it was smaller.

    `full` holds hash tiles and entry bundles that will never change, `partial` the hash tiles of the edge.
    """

    full: tuple[TileData, ...]
    partial: tuple[TileData, ...]


@dataclass(slots=True)
class Edge:
    """Append-only view of a tree that keeps its unfinished tiles and the entries of its unfinished bundle."""

    frontier: Frontier = field(default_factory=Frontier)
    rows: list[list[bytes]] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    full: list[TileData] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.frontier.size

    def copy(self) -> Edge:
        """An independent edge that starts with nothing grown."""
        return Edge(self.frontier.copy(), [row.copy() for row in self.rows], self.entries.copy())

    def append(self, leaf: bytes, data: bytes) -> None:
        """Add one entry and its leaf hash at index `size`."""
        self.frontier.append(leaf)
        self.entries.append(data)
        if len(self.entries) == TILE_WIDTH:
            bundle = Tile("entries", self.size // TILE_WIDTH - 1)
            self.full.append(TileData(bundle, bundle_entries(self.entries)))
            self.entries.clear()
        self._carry(0, leaf)

    def _carry(self, level: int, value: bytes) -> None:
        if level == len(self.rows):
            self.rows.append([])
        row = self.rows[level]
        row.append(value)
        self.touched.add(level)
        if len(row) == TILE_WIDTH:
            # The last leaf lies in the tile that just became full; `size` already points behind it.
            tile = Tile(level, (self.size - 1) >> (TILE_HEIGHT * (level + 1)))
            self.full.append(TileData(tile, b"".join(row)))
            value = root(row)
            row.clear()
            self._carry(level + 1, value)

    def take_growth(self) -> Growth:
        """The tiles grown since this edge was made or last asked; asking again gives nothing new."""
        growth = Growth(tuple(self.full), self._unfinished(self.touched))
        self.full, self.touched = [], set()
        return growth

    def unfinished(self) -> tuple[TileData, ...]:
        """Every partial hash tile of the tree as it is."""
        return self._unfinished(range(len(self.rows)))

    def _unfinished(self, levels: Iterable[int]) -> tuple[TileData, ...]:
        return tuple([self._partial(level) for level in sorted(levels) if self.rows[level]])

    def _partial(self, level: int) -> TileData:
        row = self.rows[level]
        tile = Tile(level, self.size >> (TILE_HEIGHT * (level + 1)), len(row))
        return TileData(tile, b"".join(row))


def edge_at(reader: HashReader, size: int, entries: Callable[[int, int], Sequence[bytes]]) -> Edge:
    """The edge of the stored tree of `size` leaves, with every unfinished hash tile marked as grown.

    `entries(start, end)` gives the entries of the unfinished bundle. Errors of both arguments pass through.
    """
    edge = Edge(frontier_at(reader, size))
    for level in range((size.bit_length() + TILE_HEIGHT - 1) // TILE_HEIGHT):
        count = size >> (TILE_HEIGHT * level)
        first = count - count % TILE_WIDTH
        edge.rows.append([reader(TILE_HEIGHT * level, index) for index in range(first, count)])
        edge.touched.add(level)
    edge.entries = list(entries(size - size % TILE_WIDTH, size))
    return edge


def frontier_at(reader: HashReader, size: int) -> Frontier:
    """The frontier of the stored tree of `size` leaves."""
    heads, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            heads.append(reader(level, start >> level))
            start += 1 << level
    return Frontier(size, heads)
