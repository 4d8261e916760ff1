"""The right edge of the tree: what must be remembered to append, and which tiles an append completes.

Pure. The sequencer appends to a copy and keeps the copy only when the transaction was committed, so an edge
never runs ahead of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..merkle import Frontier, HashReader, root

TILE_WIDTH: Final = 256


@dataclass(frozen=True, slots=True)
class HashTile:
    """`len(data) / 32` hashes of tile `index` at `level`; full when there are 256."""

    level: int
    index: int
    data: bytes

    @property
    def width(self) -> int:
        """How many hashes it holds, 1..256."""
        return len(self.data) // 32


@dataclass(frozen=True, slots=True)
class EntryBundle:
    """256 entries, the ones from `index * 256` on."""

    index: int
    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """The tiles that a tree needs and that it did not have when it was smaller: partial ones last."""

    full: tuple[HashTile, ...]
    bundles: tuple[EntryBundle, ...]
    partial: tuple[HashTile, ...]


@dataclass(slots=True)
class Edge:
    """Append-only view of a tree that keeps its unfinished tiles and the entries of its unfinished bundle."""

    frontier: Frontier = field(default_factory=Frontier)
    rows: list[list[bytes]] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    _full: list[HashTile] = field(default_factory=list)
    _bundles: list[EntryBundle] = field(default_factory=list)
    _touched: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.frontier.size

    def copy(self) -> Edge:
        """An independent edge that starts with nothing grown."""
        return Edge(self.frontier.copy(), [row.copy() for row in self.rows], self.entries.copy())

    def append(self, leaf: bytes, data: bytes) -> None:
        """Add one entry and its leaf hash at index `size`."""
        self.entries.append(data)
        if len(self.entries) == TILE_WIDTH:
            self._bundles.append(EntryBundle(self.size // TILE_WIDTH, tuple(self.entries)))
            self.entries.clear()
        self.frontier.append(leaf)
        self._carry(0, leaf)

    def _carry(self, level: int, value: bytes) -> None:
        if level == len(self.rows):
            self.rows.append([])
        row = self.rows[level]
        row.append(value)
        self._touched.add(level)
        if len(row) < TILE_WIDTH:
            return
        index = (self.size - 1) >> (8 * (level + 1))
        self._full.append(HashTile(level, index, b"".join(row)))
        value = root(row)
        row.clear()
        self._carry(level + 1, value)

    def take_growth(self) -> Growth:
        """The tiles grown since this edge was made or last asked; asking again gives nothing new."""
        partial = tuple(self._partial(level) for level in sorted(self._touched) if self.rows[level])
        growth = Growth(tuple(self._full), tuple(self._bundles), partial)
        self._full, self._bundles, self._touched = [], [], set()
        return growth

    def _partial(self, level: int) -> HashTile:
        return HashTile(level, self.size >> (8 * (level + 1)), b"".join(self.rows[level]))


def edge_at(reader: HashReader, size: int, entries: Callable[[int, int], Sequence[bytes]]) -> Edge:
    """The edge of the stored tree of `size` leaves, with every unfinished tile marked as grown.

    `entries(start, end)` gives the entries of the unfinished bundle. Errors of both arguments pass through.
    """
    edge = Edge()
    heads, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            heads.append(reader(level, start >> level))
            start += 1 << level
    edge.frontier = Frontier(size, heads)
    for level in range((size.bit_length() + 7) // 8):
        count = size >> (8 * level)
        first = count - count % TILE_WIDTH
        edge.rows.append([reader(8 * level, index) for index in range(first, count)])
        edge._touched.add(level)
    edge.entries = list(entries(size - size % TILE_WIDTH, size))
    return edge
