"""Tile files as C2SP tlog-tiles lays them out, and the tree read back from them.

A full tile or bundle never changes once written. Partial hash tiles are written for every published size and
removed when the full tile exists; a narrower partial is always the beginning of a wider one, so any width
that was ever published can still be answered. Partial entry bundles are not stored at all: the database has
the entries.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from ..errors import Unavailable
from ..merkle import HASH_SIZE_BYTES, HashReader, range_hash
from ..tile import TILE_HEIGHT, TILE_WIDTH, Tile, locate
from .durable import DiskFiles, Files
from .edge import Growth

_CACHED_TILES: Final = 1024
"""Expanded tiles kept by a reader, at most 16 KiB each."""

_CACHED_EDGES: Final = 64


class TileStore:
    """The folder `tile/` of a log. One process writes, full tiles before partial ones; many read."""

    def __init__(self, folder: Path, files: Files | None = None) -> None:
        self._folder = folder / "tile"
        self._files = files or DiskFiles()

    def write(self, growth: Growth) -> None:
        """Store what a tree grew by. Writing the same again changes nothing. Raises Unavailable.

        The names of partial tiles of level 0 may be lost with the power: recovery writes that of the head again,
        and older ones are answered from wider ones. Higher levels change rarely, and recovery starts from them.
        """
        for grown in growth.full:
            self._files.write(self._path(grown.tile), grown.data)
        for grown in growth.partial:
            self._files.write(self._path(grown.tile), grown.data, lasting=grown.tile.level != 0)

    def remove_partials(self, growth: Growth) -> None:
        """Drop the partial forms of tiles that are full now; call it once the checkpoint is published."""
        for grown in growth.full:
            if grown.tile.level != "entries":
                self._files.remove_folder(self._partials(grown.tile))

    def read(self, tile: Tile) -> bytes | None:
        """The bytes of a tile or a full bundle, or None when no stored form is that wide."""
        data = self._files.read(self._path(tile))
        if tile.level == "entries" or (data is not None and len(data) == tile.width * HASH_SIZE_BYTES):
            return data
        return None if tile.width == TILE_WIDTH else self._from_wider(tile)

    def _from_wider(self, tile: Tile) -> bytes | None:
        needed = tile.width * HASH_SIZE_BYTES
        wider = [int(name) for name in self._files.names(self._partials(tile)) if name.isdecimal()]
        for width in [TILE_WIDTH, *sorted(each for each in wider if each > tile.width)]:
            data = self._files.read(self._path(Tile(tile.level, tile.index, width)))
            if data is not None and len(data) == width * HASH_SIZE_BYTES:
                return data[:needed]
        return None

    def _path(self, tile: Tile) -> Path:
        return self._folder / tile.path

    def _partials(self, tile: Tile) -> Path:
        return self._folder / (Tile(tile.level, tile.index).path + ".p")


class TileTree:
    """Hashes of complete subtrees, computed from stored tiles with a small cache. Safe to share by threads."""

    def __init__(self, store: TileStore) -> None:
        self._store = store
        self._expanded = lru_cache(maxsize=_CACHED_TILES)(self._expand)
        self._right_edge = lru_cache(maxsize=_CACHED_EDGES)(self._unfinished_nodes)

    def at(self, size: int) -> HashReader:
        """The reader of the tree of `size` leaves; it raises Unavailable where a tile is missing."""

        def read(level: int, index: int) -> bytes:
            place = locate(level, index)
            nodes = self._nodes(place.level, place.index, size)
            inner = level % TILE_HEIGHT
            return _hash_at(nodes[inner], place.start >> inner)

        return read

    def inclusion_path(self, index: int, size: int) -> list[bytes]:
        """As `ledger.merkle.inclusion_path_from`, several times faster: the right edge is hashed once a size."""
        path: list[bytes] = []
        count = size
        for level, unfinished in enumerate(self._right_edge(size)):
            sibling = index ^ 1
            if sibling < size >> level:
                tile_level, inner = divmod(level, TILE_HEIGHT)
                width = TILE_WIDTH >> inner
                nodes = self._nodes(tile_level, sibling // width, size)
                path.append(_hash_at(nodes[inner], sibling % width))
            elif sibling < count:
                path.append(unfinished)
            index >>= 1
            count = (count + 1) >> 1
        return path

    def _nodes(self, level: int, index: int, size: int) -> list[bytes]:
        hashes = size >> (TILE_HEIGHT * level)
        return self._expanded(level, index, min(hashes - index * TILE_WIDTH, TILE_WIDTH))

    def _unfinished_nodes(self, size: int) -> tuple[bytes, ...]:
        """For each level below the root, the head of what lies right of the last complete node; else nothing."""
        read = self.at(size)
        levels = range((size - 1).bit_length())
        return tuple([range_hash(read, size >> level << level, size) for level in levels])

    def _expand(self, level: int, index: int, width: int) -> list[bytes]:
        tile = Tile(level, index, width)
        data = self._store.read(tile)
        if data is None:
            raise Unavailable(f"tile {tile.path} is missing; restarting the node writes it again")
        return _inner_nodes(data)


def _inner_nodes(data: bytes) -> list[bytes]:
    # One buffer a level: cutting all of them into single hashes would cost as much as a quarter of the hashing.
    levels = []
    while data:
        levels.append(data)
        pairs = range(0, len(data) - 63, 64)
        data = b"".join([sha256(b"\x01" + data[at : at + 64]).digest() for at in pairs])
    return levels


def _hash_at(nodes: bytes, position: int) -> bytes:
    return nodes[position * HASH_SIZE_BYTES : (position + 1) * HASH_SIZE_BYTES]
