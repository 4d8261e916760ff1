"""Opening a log: the state is read back from the database, compared with what was signed, and published again.

There is no flag that says how the last run ended. Every start reads the edge from the last published tiles,
appends what the database holds behind them, writes the tiles of the head, signs the head and publishes it,
with the code that publishes every new head. What is still staged is sequenced by the next `sequence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine

from ..checkpoint import Checkpoint
from ..errors import InvalidInput, Unavailable
from ..merkle import Frontier
from ..seal import parse_seal
from ..tile import TILE_WIDTH
from .database import entries, entry_data, has_archived_notes, last_seal, leaves, read_head, registry_entries
from .edge import Edge, edge_at, frontier_at
from .engine import one_state
from .guard import PUBLISHED, SEALS, Mark, MarkSource, ReadOnly, ReadOnlyLog, compare, no_marks
from .plan import LogState, replayed_registry
from .publish import Publisher, QuorumMissing
from .sequencer import Clock, Sequencer, read_marks
from .space import MarksUnreadable, StorageFull
from .tiles import TileStore, TileTree

_WRITTEN_AT_ONCE: Final = 16 * TILE_WIDTH


def open_sequencer(
    engine: Engine, publisher: Publisher, clock: Clock, *, marks: MarkSource = no_marks
) -> Sequencer:
    """The sequencer of the log in this database, recovered and published, or read-only with the reason.

    `marks` gives the heads that witnesses remember. Where the disk is full or a required quorum missing the head is published later, by the
    first `sequence` that can. Raises Unavailable when no log was created there, or when its head cannot be
    published for another reason.
    """
    with engine.connect().execution_options(**one_state(engine)) as connection:
        head = read_head(connection)
        try:
            found, refusal = read_marks(publisher, head.origin, has_archived_notes(connection), marks)
        except MarksUnreadable as error:
            # A start goes on to serve; only another one, with the file mended, may sign.
            found, refusal = [], ReadOnly(error.mark, f"it cannot be read: {error.why}")
        base, roots = _roots(connection, publisher.tiles, head, found)
        refusal = refusal or compare(head, found, roots)
        tiles = publisher.tiles if refusal is None else None
        edge = _edge(connection, publisher.tiles, base, head.size, tiles)
        state, broken_seals = _state(connection, head.origin, edge)
    refusal = refusal or broken_seals
    if refusal is not None and _has_moved(engine, head):
        # Somebody who lost its lock unnoticed still ended its commit: what was compared is no longer the head.
        return open_sequencer(engine, publisher, clock, marks=marks)
    sequencer = Sequencer(engine, publisher, clock, state, read_only=refusal, marks=marks)
    if head.size:
        _publish(sequencer, publisher, edge)
    return sequencer


def _has_moved(engine: Engine, head: Checkpoint) -> bool:
    with engine.connect() as connection:
        return read_head(connection) != head


def _publish(sequencer: Sequencer, publisher: Publisher, edge: Edge) -> None:
    """Publish the head; what may not or cannot be published now goes on serving what was published before."""
    try:
        if sequencer.read_only is None:
            sequencer.publish(edge.take_growth())
    except (StorageFull, QuorumMissing, ReadOnlyLog):
        pass
    if sequencer.published is None:
        with suppress(InvalidInput, Unavailable):
            sequencer.published = publisher.note(sequencer.head.origin)


def _roots(
    connection: Connection, tiles: TileStore, head: Checkpoint, marks: Sequence[Mark]
) -> tuple[int, dict[int, bytes]]:
    """Where to go on from stored tiles, and the roots of the stored entries at the sizes that matter."""
    sizes = {head.size, *[mark.size for mark in marks]}
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
