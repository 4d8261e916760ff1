"""Inclusion proofs from stored tiles, up to 10,000,000 entries: `python -m bench.proofs`.

The leaves are synthetic hashes; the tile files are those of a log of that size, and proofs are built by the code
that serves them, for random entries (next to nothing of a random entry's tiles is at hand) and for the newest ones
(as receipts ask). Each proof is verified outside the time.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, Final

from ledger.log.tiles import TileStore, TileTree
from ledger.merkle import root_from, verify_inclusion
from ledger.tile import TILE_WIDTH, Tile

ENTRIES: Final = 10_000_000
PROOFS: Final = 500
BUDGET_MS: Final = 0.3
_SEED: Final = 5

Result = dict[str, Any]


def measure(entries: int = ENTRIES) -> list[Result]:
    """Proof times at sizes a factor of ten apart."""
    with tempfile.TemporaryDirectory() as name:
        _write_tiles(Path(name), entries)
        sizes = [
            size for size in (entries // 1_000, entries // 100, entries // 10, entries) if size > TILE_WIDTH
        ]
        return [row for size in sizes for row in _proof_rows(Path(name), size)]


def _leaf(index: int) -> bytes:
    return sha256(index.to_bytes(8, "big")).digest()


def _write_tiles(folder: Path, entries: int) -> None:
    """The hash tiles of a tree, level by level; not forced to the disk, because nothing here must survive."""
    level, hashes = 0, _leaves(entries)
    while hashes is not None:
        above = bytearray()
        for index, data in enumerate(hashes):
            path = folder / "tile" / Tile(level, index, len(data) // 32).path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            if len(data) == TILE_WIDTH * 32:
                above += _root(data)
        level, hashes = level + 1, _tiles(bytes(above)) if above else None


def _leaves(entries: int) -> Iterator[bytes]:
    for start in range(0, entries, TILE_WIDTH):
        yield b"".join([_leaf(index) for index in range(start, min(start + TILE_WIDTH, entries))])


def _tiles(hashes: bytes) -> Iterator[bytes]:
    size = TILE_WIDTH * 32
    for start in range(0, len(hashes), size):
        yield hashes[start : start + size]


def _root(data: bytes) -> bytes:
    while len(data) > 32:
        pairs = range(0, len(data), 64)
        data = b"".join([sha256(b"\x01" + data[at : at + 64]).digest() for at in pairs])
    return data


def _proof_rows(folder: Path, size: int) -> list[Result]:
    draw = random.Random(_SEED)
    newest = range(size - min(size, PROOFS), size)
    return [
        _proof_row(folder, size, "random entry", [draw.randrange(size) for _ in range(PROOFS)]),
        _proof_row(folder, size, "newest entries", list(newest)),
    ]


def _proof_row(folder: Path, size: int, which: str, indices: Sequence[int]) -> Result:
    tree = TileTree(TileStore(folder))
    head = root_from(tree.at(size), size)
    taken = []
    for index in indices:
        began = time.perf_counter()
        path = tree.inclusion_path(index, size)
        taken.append(time.perf_counter() - began)
        verify_inclusion(index, size, _leaf(index), path, head)
    middle_ms = median(taken) * 1e3
    name = f"inclusion proof, {size:,} entries, {which}, median"
    return _row(name, middle_ms, "ms", f"{BUDGET_MS} ms", middle_ms / BUDGET_MS)


def _row(name: str, value: float, unit: str, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=ENTRIES)
    for row in measure(parser.parse_args().entries):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
