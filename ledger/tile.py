"""Tile geometry (C2SP tlog-tiles v0.1.0): which tile holds which hashes, its path, entry bundles. No files here.

A tile of level L holds up to 256 hashes; hash i of tile n at level L is the head of the complete subtree
of 256^L leaves that starts at ``(256 n + i) * 256^L``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from . import merkle
from .errors import InvalidInput, TooLarge

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_ENTRY_SIZE_BYTES = 65_535
HASH_SIZE_BYTES = merkle.HASH_SIZE_BYTES

_PATH = re.compile(
    r"(?:(?P<level>[0-9]|[1-5][0-9]|6[0-3])|(?P<entries>entries))"
    r"/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of hashes (``level`` 0..63) or one bundle of entries (``level`` ``"entries"``).

    ``width`` is 256 for a full tile, 1..255 for a partial one.
    """

    level: int | Literal["entries"]
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below ``tile/``, such as ``0/x001/x234/067`` or ``entries/000.p/5``."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"{self.level}/{'/'.join(reversed(groups))}{partial}"


def parse_tile_path(path: str) -> Tile:
    """The tile that a path below ``tile/`` names; raises :class:`InvalidInput` (rule ``bad-tile-path``)."""
    match = _PATH.match(path) if len(path) <= 64 else None
    if match is None:
        raise InvalidInput("expected a tile path as tlog-tiles writes it", rule="bad-tile-path")
    index = int("".join(re.findall("[0-9]{3}", match["index"])))
    width = int(match["width"] or TILE_WIDTH)
    tile = Tile("entries" if match["entries"] else int(match["level"]), index, width)
    if tile.path != path or width > TILE_WIDTH:
        raise InvalidInput("expected a tile path as tlog-tiles writes it", rule="bad-tile-path")
    return tile


def partial_width(size: int, level: int) -> int:
    """The width of the partial tile at ``level`` of a tree of ``size`` entries; 0 for none."""
    return (size >> (TILE_HEIGHT * level)) % TILE_WIDTH


def new_tiles(old_size: int, size: int) -> Iterator[Tile]:
    """The hash tiles that a log which grew from ``old_size`` to ``size`` has to write, level by level."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        yield from _grown(level, old_size >> (TILE_HEIGHT * level), size >> (TILE_HEIGHT * level))
        level += 1


def new_entry_bundles(old_size: int, size: int) -> Iterator[Tile]:
    """The entry bundles that a log which grew from ``old_size`` to ``size`` has to write."""
    yield from _grown("entries", old_size, size)


def _grown(level: int | Literal["entries"], old: int, new: int) -> Iterator[Tile]:
    if new == old:
        return
    for index in range(old // TILE_WIDTH, new // TILE_WIDTH):
        yield Tile(level, index)
    if new % TILE_WIDTH:
        yield Tile(level, new // TILE_WIDTH, new % TILE_WIDTH)


@dataclass(frozen=True, slots=True)
class Slice:
    """Where a complete subtree lies: hashes ``[start, stop)`` of the tile at ``level``, ``index``."""

    level: int
    index: int
    start: int
    stop: int


def locate(level: int, index: int) -> Slice:
    """The tile and the range in it whose head is the complete subtree ``(level, index)`` of the tree."""
    tile_level, inner = divmod(level, TILE_HEIGHT)
    first = index << inner
    start = first % TILE_WIDTH
    return Slice(tile_level, first // TILE_WIDTH, start, start + (1 << inner))


def hash_reader(read_tile: Callable[[int, int], Sequence[bytes]]) -> merkle.HashReader:
    """A :data:`ledger.merkle.HashReader` over ``read_tile(level, index)`` -> the hashes of that tile."""

    def reader(level: int, index: int) -> bytes:
        place = locate(level, index)
        hashes = read_tile(place.level, place.index)[place.start : place.stop]
        if len(hashes) != place.stop - place.start:
            raise InvalidInput("expected a tile that reaches the asked subtree", rule="bad-tile")
        return merkle.root(hashes)

    return reader


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile's bytes; raises :class:`InvalidInput` (rule ``bad-tile``) for another length."""
    if not data or len(data) % HASH_SIZE_BYTES or len(data) > TILE_WIDTH * HASH_SIZE_BYTES:
        raise InvalidInput("expected 1 to 256 hashes of 32 bytes", rule="bad-tile")
    return [data[at : at + HASH_SIZE_BYTES] for at in range(0, len(data), HASH_SIZE_BYTES)]


def bundle_entries(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle: each entry after its big-endian 16-bit length."""
    for entry in entries:
        if len(entry) > MAX_ENTRY_SIZE_BYTES:
            raise TooLarge(
                f"expected entries of at most {MAX_ENTRY_SIZE_BYTES} bytes", rule="entry-too-large"
            )
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def split_entries(data: bytes) -> list[bytes]:
    """The entries of a bundle's bytes; raises :class:`InvalidInput` (rule ``bad-tile``)."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data) or len(entries) == TILE_WIDTH:
            raise InvalidInput("expected 1 to 256 whole entries", rule="bad-tile")
        entries.append(data[at + 2 : end])
        at = end
    return entries
