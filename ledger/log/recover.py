"""Opening a log: the state is read back from the database, compared with what was signed, and published again.

There is no flag that says how the last run ended. Every start reads the edge from the last published tiles,
appends what the database holds behind them, writes the tiles of the head, signs the head and publishes it,
with the code that publishes every new head. What is still staged is sequenced by the next `sequence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine

from ..checkpoint import Checkpoint
from ..errors import InvalidInput, Unavailable
from ..merkle import Frontier
from ..seal import parse_seal
from ..tile import TILE_WIDTH
from .database import entries, entry_data, has_archived_notes, last_seal, leaves, read_head, registry_entries
from .edge import Edge, edge_at, frontier_at
from .plan import LogState, replayed_registry
from .publish import Publisher
from .sequencer import Clock, ReadOnly, Sequencer
from .tiles import TileStore, TileTree

PUBLISHED: Final = "published checkpoint"
HIGH_WATER: Final = "high-water file"
ENTRIES: Final = "stored entries"
SEALS: Final = "stored seals"

_WRITTEN_AT_ONCE: Final = 16 * TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Mark:
    """A head that was signed, or was about to be, and where that is remembered."""

    name: str
    head: Checkpoint


def open_sequencer(engine: Engine, publisher: Publisher, clock: Clock) -> Sequencer:
    """The sequencer of the log in this database, recovered and published, or read-only with the reason.

    Raises Unavailable when no log was created there, or when its head cannot be published.
    """
    with engine.connect() as connection:
        head = read_head(connection)
        marks, refusal = _marks(connection, publisher, head.origin)
        base, roots = _roots(connection, publisher.tiles, head, marks)
        refusal = refusal or compare(head, marks, roots)
        tiles = publisher.tiles if refusal is None else None
        edge = _edge(connection, publisher.tiles, base, head.size, tiles)
        state, broken_seals = _state(connection, head.origin, edge)
    sequencer = Sequencer(engine, publisher, clock, state, read_only=refusal or broken_seals)
    if sequencer.read_only is None and head.size:
        sequencer.publish(edge.take_growth())
    return sequencer


def compare(head: Checkpoint, marks: Sequence[Mark], roots: Mapping[int, bytes]) -> ReadOnly | None:
    """Why the head may not be signed, or None. `roots` are those of the stored entries, by tree size.

    A head behind a mark is a restored backup or a replica that lost commits; another root at a mark's size is
    a fork. Either way signing would give two histories one name.
    """
    if roots[head.size] != head.root:
        return ReadOnly(ENTRIES, f"the head of size {head.size} has another root than they have")
    for mark in marks:
        if mark.head.origin != head.origin:
            return ReadOnly(mark.name, f"expected the log {head.origin}, got {mark.head.origin}")
        if mark.head.size > head.size:
            return ReadOnly(mark.name, f"the head is behind: size {head.size} after {mark.head.size}")
        if roots[mark.head.size] != mark.head.root:
            return ReadOnly(mark.name, f"the head is different: another root at size {mark.head.size}")
    return None


def _marks(connection: Connection, publisher: Publisher, origin: str) -> tuple[list[Mark], ReadOnly | None]:
    sources: list[tuple[str, Callable[[], Checkpoint | None]]] = [
        (PUBLISHED, lambda: publisher.published(origin)),
        (HIGH_WATER, publisher.high_water),
    ]
    marks: list[Mark] = []
    for name, read in sources:
        try:
            head = read()
        except InvalidInput as error:
            return marks, ReadOnly(name, f"it cannot be read: {error.message}")
        if head is not None:
            marks.append(Mark(name, head))
    if has_archived_notes(connection) and HIGH_WATER not in [mark.name for mark in marks]:
        return marks, ReadOnly(HIGH_WATER, "expected the file that goes with a published log, got none")
    return marks, None


def _roots(
    connection: Connection, tiles: TileStore, head: Checkpoint, marks: Sequence[Mark]
) -> tuple[int, dict[int, bytes]]:
    """Where to go on from stored tiles, and the roots of the stored entries at the sizes that matter."""
    sizes = {head.size, *[mark.head.size for mark in marks]}
    base = min(sizes) - min(sizes) % TILE_WIDTH if PUBLISHED in [mark.name for mark in marks] else 0
    if base:
        try:
            roots = _roots_from(connection, tiles, base, head.size, sizes)
        except Unavailable:
            roots = {}
        if roots.get(head.size) == head.root:
            return base, roots
    # Tiles are a projection: where they are lost or wrong, the entries say it all again.
    return 0, _roots_from(connection, tiles, 0, head.size, sizes)


def _roots_from(
    connection: Connection, tiles: TileStore, base: int, size: int, sizes: set[int]
) -> dict[int, bytes]:
    frontier = frontier_at(TileTree(tiles).at(base), base) if base else Frontier()
    roots = {base: frontier.root()}
    for leaf in leaves(connection, base, size):
        frontier.append(leaf)
        if frontier.size in sizes:
            roots[frontier.size] = frontier.root()
    return roots


def _edge(connection: Connection, stored: TileStore, base: int, size: int, tiles: TileStore | None) -> Edge:
    """The edge at `size`, from stored tiles at `base`; what grew before the last tiles goes to `tiles`."""
    edge = edge_at(TileTree(stored).at(base), base, lambda start, end: entry_data(connection, start, end))
    for new in entries(connection, base, size):
        edge.append(new.leaf, new.data)
        if edge.size % _WRITTEN_AT_ONCE == 0 and tiles is not None:
            tiles.write(edge.take_growth())
    return edge


def _state(connection: Connection, origin: str, edge: Edge) -> tuple[LogState, ReadOnly | None]:
    """The state to append from; the registry is replayed from the entries and must be the one last sealed."""
    registry = replayed_registry(origin, registry_entries(connection, 0, edge.size))
    found = last_seal(connection)
    if found is None:
        return LogState(origin, edge, registry), None
    seal = parse_seal(entry_data(connection, found.index, found.index + 1)[0])
    state = LogState(origin, edge, registry, found.index + 1, seal.after, found.changes_after, seal.time_ms)
    if found.index + 1 != edge.size:
        return state, ReadOnly(SEALS, f"expected the last entry to be a seal, got one at {found.index}")
    if seal.after != registry.head():
        return state, ReadOnly(SEALS, "the replayed registry is not the one that the last seal recorded")
    return state, None
