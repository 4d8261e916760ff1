"""Checking every tile file of a log: what its entries give, byte for byte, at every width that lies there.

Derived tiles come in the order in which a tree grows. A partial tile of any width must begin the derived one,
because any of them may be served; a file that belongs to no tile of the tree is named as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

from ..errors import InvalidInput
from ..merkle import HASH_SIZE_BYTES
from ..tile import TILE_HEIGHT, TILE_WIDTH, Tile, parse_tile_path, split_entries
from .durable import Files
from .edge import TileData
from .fault import Faults

_UNFINISHED = ".partial"
"""What a write that was cut short leaves beside the file it was to replace; nobody reads it."""

_Key = tuple[int | Literal["entries"], int]


@dataclass
class TileCheck:
    """One run over the folder `tile/`; `count` is the number of tiles that were compared."""

    folder: Path
    files: Files
    faults: Faults
    count: int = 0
    partials: dict[_Key, list[Tile]] = field(default_factory=dict)
    unknown: list[tuple[str, Tile | None]] = field(default_factory=list)

    def find(self, size: int) -> None:
        """Look at the names in the folder: partial tiles are kept for `compare`, what no tree of `size` has for `stray`."""
        for name in _names(self.folder / "tile"):
            if name.endswith(_UNFINISHED):
                continue
            try:
                tile = parse_tile_path(name)
            except InvalidInput:
                self.unknown.append((name, None))
                continue
            if tile.width == TILE_WIDTH:
                if (tile.index + 1) * TILE_WIDTH > _leaves(tile, size):
                    self.unknown.append((name, tile))
            elif tile.level == "entries":
                self.unknown.append((name, None))
            else:
                self.partials.setdefault((tile.level, tile.index), []).append(tile)

    def compare(self, tiles: Sequence[TileData], *, published: bool = True) -> None:
        """Compare derived tiles with the files of their names, and with narrower ones beside them.

        What is not `published` yet may lack its files; what has grown since may have a wider one instead.
        """
        for derived in tiles:
            self.count += 1
            key = (derived.tile.level, derived.tile.index)
            found = self.partials.pop(key, [])
            wider = [tile for tile in found if tile.width > derived.tile.width]
            if wider:
                self.partials[key] = wider
            for tile in found:
                if tile.width < derived.tile.width:
                    self._file(tile, derived.data, must_be=False)
            self._file(
                derived.tile, derived.data, must_be=published and not wider and not self._is_full(derived)
            )

    def stray(self, published: int) -> None:
        """Name files that no tile of the tree has, given the largest size that may be published by now."""
        for name, tile in self.unknown:
            if tile is None or (tile.index + 1) * TILE_WIDTH > _leaves(tile, published):
                self.faults.note(
                    "stray-file", f"log/tile/{name}", "expected files of tiles only, got one that is none"
                )
        for (level, index), tiles in self.partials.items():
            for tile in tiles:
                if index * TILE_WIDTH + tile.width > _leaves(Tile(level, index), published):
                    self.faults.note(
                        "stray-file",
                        f"log/tile/{tile.path}",
                        "expected tiles of the published tree only, got a wider one",
                    )

    def _file(self, tile: Tile, derived: bytes, *, must_be: bool) -> None:
        stored = self.files.read(self.folder / "tile" / tile.path)
        if stored is None and not must_be:
            return
        right = derived if tile.level == "entries" else derived[: tile.width * HASH_SIZE_BYTES]
        if stored != right:
            self._fault(tile, right, stored)

    def _is_full(self, derived: TileData) -> bool:
        """Whether a partial tile has become a full one since."""
        tile = derived.tile
        whole = self.folder / "tile" / Tile(tile.level, tile.index).path
        return tile.width < TILE_WIDTH and whole.is_file()

    def _fault(self, tile: Tile, right: bytes, stored: bytes | None) -> None:
        place = f"tile/{tile.path}"
        if stored is None:
            self.faults.note(
                "tile",
                place,
                "expected the tile its entries give, got none",
                expected=sha256(right).hexdigest(),
                entry=_first_entry(tile, 0),
            )
            return
        at = _first_difference(tile, right, stored)
        what = "entry" if tile.level == "entries" else "hash"
        self.faults.note(
            "tile",
            place,
            f"expected the tile its entries give, got other bytes from {what} {at} on",
            expected=sha256(right).hexdigest(),
            got=sha256(stored).hexdigest(),
            entry=_first_entry(tile, at),
        )


def _names(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(parent, name).relative_to(folder).as_posix()


def _leaves(tile: Tile, size: int) -> int:
    """How many hashes (or entries) the level of a tile has in a tree of `size`."""
    return size if tile.level == "entries" else size >> (TILE_HEIGHT * tile.level)


def _first_entry(tile: Tile, at: int) -> int:
    """The log index of the first entry under hash (or entry) number `at` of a tile."""
    first = tile.index * TILE_WIDTH + at
    return first if tile.level == "entries" else first << (TILE_HEIGHT * tile.level)


def _first_difference(tile: Tile, right: bytes, stored: bytes) -> int:
    """The number of the first hash, or entry, that differs."""
    if tile.level == "entries":
        return _first_other_entry(right, stored)
    at = next((at for at, (one, two) in enumerate(zip(right, stored, strict=False)) if one != two), None)
    return (min(len(right), len(stored)) if at is None else at) // HASH_SIZE_BYTES


def _first_other_entry(right: bytes, stored: bytes) -> int:
    at = next(
        (at for at, (one, two) in enumerate(zip(right, stored, strict=False)) if one != two), len(stored)
    )
    number, start = 0, 0
    for entry in split_entries(right):
        start += 2 + len(entry)
        if at < start:
            return number
        number += 1
    return number
