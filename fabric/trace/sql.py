"""A source over the stored lineage tables, for a reader who sees everything, at the head.

Speed comes from two habits. A whole level is one query, its nodes passed as one array. And a query gives
one row: each column gathered into a JSON array by the database and parsed at once, which costs a tenth of
fetching the rows. Everyone else is answered by `fabric.trace.derived` over the same tables' records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
from sqlalchemy.engine import Connection

from fabric.lineage import Fact, FactReader, HolderOf
from fabric.lineage.node import carrier_of, is_filling, node_id
from fabric.lineage.process import process_of
from fabric.lineage.reader import SqlReader
from ledger.log.dialect import is_sqlite, key_set, rendered

from .catalogue import SqlCatalogue
from .derived import DerivedSource
from .reach import Direction, Node, Step
from .records import Catalogue, RecordSource
from .source import (
    ContradictionRow,
    Course,
    Coverage,
    FillingRow,
    IntervalRow,
    Thing,
    ThingRow,
    TraceSource,
)

PART: Final = 500
"""Rows fetched at once where they are many."""

_AHEAD: Final = (
    "SELECT {all}e.dst{end}, max(e.inferred) FROM {keys:bigint} AS p"
    " {join} lineage_edge AS e ON e.src = p.value"
)
_BACK: Final = (
    "SELECT {all}e.src{end}, max(e.inferred) FROM {keys:bigint} AS p"
    " {join} lineage_edge AS e ON e.dst = p.value"
)
_THINGS: Final = (
    "SELECT {all}t.id{end}, {all}t.iri{end}, {all}t.kind{end} FROM {keys:bigint} AS p"
    " {join} thing AS t ON t.id = p.value"
)
_CLASSES: Final = (
    "SELECT {all}t.id{end} FROM {keys:bigint} AS p {join} thing AS t ON t.id = p.value WHERE t.kind = 'class'"
)
_FILLINGS: Final = (
    "SELECT {all}{list}(f.carrier, f.node, f.from_us, f.until_us, f.closed_by){end}"
    " FROM {keys:bigint} AS p {join} lineage_filling AS f ON f.carrier = p.value"
)
_INTERVALS: Final = (
    "SELECT {all}{list}(i.child, i.parent, i.filling, i.from_us, i.until_us, i.inferred_from_us){end}"
    " FROM {keys:bigint} AS p {join} lineage_interval AS i ON "
)
_WITHIN: Final = f"{_INTERVALS}i.parent = p.value"
_AROUND: Final = f"{_INTERVALS}i.child = p.value"
_SUMMARIES: Final = (
    "SELECT s.thing, s.body FROM {keys:bigint} AS p {join} lineage_summary AS s ON s.thing = p.value"
)
_CONTRADICTIONS: Final = (
    "SELECT {all}{list}(c.kind, c.things, c.records, c.detail){end}"
    " FROM {keys:bigint} AS p {join} lineage_contradiction AS c ON c.thing = p.value"
)


class StoredSource(RecordSource):
    """`TraceSource` over stored lineage. Its connection's transaction keeps all answers about one head.

    `reader` and `catalogue` read records where derived rows do not suffice; both see everything.
    """

    limited: Final = False

    def __init__(
        self,
        connection: Connection,
        coverage: Coverage,
        reader: FactReader,
        catalogue: Catalogue,
        holder_of: HolderOf,
    ) -> None:
        self._connection = connection
        super().__init__(coverage, reader, catalogue, holder_of)
        self._rows: dict[Node, ThingRow] = {}
        self._ended: dict[Node, tuple[int, int]] = {}

    def neighbours(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        """See `Neighbours`."""
        query = _AHEAD if direction is Direction.FORWARD else _BACK
        array, guessed = self._one(f"{query} WHERE e.inferred = 0" if stated else query, nodes)
        found: set[Any] = set(orjson.loads(array))
        others = {node for node in found if node < 0}
        found -= others
        ends = self._classes(found)
        fillings = {node for node in others if is_filling(node)}
        return Step((found - ends) | fillings, others - fillings, ends, bool(guessed))

    def things(self, nodes: Collection[Node]) -> list[ThingRow]:
        """One row a node; processes have none."""
        self._load(set(nodes))
        rows = self._rows
        return [rows[node] for node in nodes]

    def courses(self, nodes: Collection[Node]) -> Iterator[Course]:
        """Where each node is, was and went; no row where nothing is known."""
        numbers: list[Any] = list(nodes)
        fillings = {node: carrier_of(node) for node in numbers if is_filling(node)}
        material = [node for node in numbers if node >= 0]
        yield from self._summaries(material)
        if fillings:
            self._load(set(fillings))
            states = {row[0]: row[1] for row in self._summaries(set(fillings.values()))}
            for node, carrier in fillings.items():
                ended = self._ended.get(node)
                state = states.get(carrier) if ended is None else (*ended, None, None, "ended")
                yield node, state, (), (), ()

    def fillings(self, carriers: Collection[Thing]) -> Iterator[FillingRow]:
        """Every filling of each carrier."""
        for carrier, node, start, end, _ in self._list(_FILLINGS, carriers):
            yield carrier, node, start, end

    def within(self, parents: Collection[Thing]) -> Iterator[IntervalRow]:
        """Directly inside each parent: what it held, and when."""
        return (tuple(row) for row in self._list(_WITHIN, parents))

    def around(self, children: Collection[Thing]) -> Iterator[IntervalRow]:
        """Directly around each thing: what it was a child of, and when."""
        return (tuple(row) for row in self._list(_AROUND, children))

    def process(self, fact: Fact) -> Node:
        """The node of the process that a transformation belongs to."""
        return node_id(process_of(fact))

    def contradictions(self, things: Collection[Thing]) -> Iterator[ContradictionRow]:
        """Every contradiction about any of the things, each once."""
        found = {
            (kind, tuple(orjson.loads(about)), tuple(orjson.loads(records)), detail)
            for kind, about, records, detail in self._list(_CONTRADICTIONS, things)
        }
        names = self.iris({thing for row in found for thing in row[1]})
        for kind, about, records, detail in found:
            yield kind, tuple(names[thing] for thing in about), records, detail

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]]:
        """Nothing is hidden from this reader."""
        return 0, frozenset()

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        """Canonical IRIs."""
        self._load(set(things))
        return {thing: self._rows[thing][2] for thing in things}

    def _one(self, query: str, values: Iterable[Any]) -> Any:
        return self._fetched(query, values).one()

    def _fetched(self, query: str, values: Iterable[Any]) -> Any:
        # In their order, so that a large set reads the pages of a table one after the other.
        sqlite, keys = is_sqlite(self._connection), sorted(values)
        parameter = key_set(keys, sqlite) if keys else ("[]" if sqlite else "{}")
        return self._connection.exec_driver_sql(rendered(query, sqlite), (parameter,))

    def _list(self, query: str, values: Iterable[Any]) -> list[Any]:
        rows: list[Any] = orjson.loads(self._one(query, values)[0])
        return rows

    def _classes(self, found: set[Any]) -> frozenset[Node]:
        """The classes among things."""
        return frozenset(self._list(_CLASSES, found)) if found else frozenset()

    def _load(self, nodes: set[Any]) -> None:
        missing = nodes - self._rows.keys()
        if not missing:
            return
        fillings = {node: carrier_of(node) for node in missing if is_filling(node)}
        if fillings:
            missing = (missing - fillings.keys()) | (set(fillings.values()) - self._rows.keys())
        ids, iris, kinds = map(orjson.loads, self._one(_THINGS, missing))
        rows = self._rows
        for number, iri, kind in zip(ids, iris, kinds, strict=True):
            rows[number] = (number, number, iri, _KINDS.get(kind, "serial"), None, None)
        if fillings:
            for carrier, node, start, end, closed_by in self._list(_FILLINGS, set(fillings.values())):
                rows[node] = (node, carrier, rows[carrier][2], "filling", start, end)
                if end is not None:
                    self._ended[node] = (closed_by, end)

    def _summaries(self, things: Collection[Any]) -> Iterator[Course]:
        """Courses, each parsed alone: what is parsed is dropped before the collector of cycles sees it."""
        if things:
            for part in self._fetched(_SUMMARIES, things).partitions(PART):
                for thing, body in part:
                    state, stock, legs, never = orjson.loads(body)
                    yield thing, state, stock, legs, never


_KINDS: Final = {"lot": "lot", "class": "class"}


def sql_source(
    connection: Connection,
    coverage: Coverage,
    holder_of: HolderOf,
    *,
    classes: Collection[int] | None = None,
    below: int | None = None,
) -> TraceSource:
    """The source for one reader at one tree size, within the connection's transaction.

    `classes` are the visibility classes the reader sees, None = all; `below` is an earlier tree size, None = the
    head. `coverage` says which size that is and when its last seal was.
    """
    catalogue = SqlCatalogue(connection, holder_of, classes=classes, below=below)
    reader = SqlReader(connection, holder_of, classes=classes, below=below)
    if classes is None and below is None:
        return StoredSource(connection, coverage, reader, catalogue, holder_of)
    return DerivedSource(coverage, reader, catalogue, holder_of)


__all__ = ["StoredSource", "sql_source"]
