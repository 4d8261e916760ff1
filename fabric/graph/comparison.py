"""Whether two graphs say the same: sorted N-Quads, equal line by line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from pyoxigraph import RdfFormat, Store

from ledger.errors import Unavailable

from .projection import open_projection
from .snapshots import current
from .source import Source

MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """How two graphs differ; `missing` and `surplus` are the first lines of each sort."""

    equal: bool
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def sorted_lines(store: Store) -> list[bytes]:
    """A store as sorted N-Quads lines: equal lists are equal graphs, because there are no blank nodes."""
    dumped = store.dump(format=RdfFormat.N_QUADS) or b""
    return sorted(dumped.splitlines())


def compare(expected: Store, found: Store) -> Difference:
    """How a graph differs from what it should be."""
    wanted, there = set(sorted_lines(expected)), set(sorted_lines(found))
    return Difference(wanted == there, _first(wanted - there), _first(there - wanted))


def check(folder: Path, source: Source) -> Difference:
    """Compare the published graph of a folder with one made from scratch, at the size that it covers.

    The database must be at that size: raises Unavailable when the graph lags behind it.
    """
    published = current(folder)
    if published is None or published.size != source.size():
        raise Unavailable("the graph does not cover the head of the log yet")
    with tempfile.TemporaryDirectory(prefix="loomark-graph-") as place:
        projection = open_projection(Path(place), source)
        try:
            while projection.advance():
                pass
            return compare(projection.store, Store.read_only(str(folder / published.name)))
        finally:
            projection.close()


def _first(lines: set[bytes]) -> tuple[str, ...]:
    return tuple(islice(_texts(lines), MOST))


def _texts(lines: set[bytes]) -> Iterator[str]:
    for line in sorted(lines):
        yield line.decode()
