"""Derived rows into the lineage tables, scope by scope, and out of them again as a comparable view."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Table
from sqlalchemy.engine import Connection

from fabric.store.bulk import delete_rows, execute_keys, insert_rows, replace_rows, select_keys

from .derived import Contradiction, Derived, EdgeKind, Filling, Interval, Leg, Node, RunNode, Summary
from .fact import Instant, ThingKey
from .node import carrier_of, is_filling, is_process, node_id
from .schema import contradiction, edge, filling, interval
from .schema import summary as summary_table
from .view import View, rows, stock_row, text

THING_SCOPE: Final = 0
PARENT_SCOPE: Final = 1
EVENT_ID_SCOPE: Final = 2
_OTHERS: Final = 3
"""Added to a scope: the row stands under another thing that a contradiction of that scope names."""
_NUMBER_BITS: Final = 24

_EDGE: Final = ("src", "dst", "kind", "record", "inferred")
_OF_PARENT: Final = (
    f"DELETE FROM lineage_edge WHERE kind = {EdgeKind.CONTAINS.value} AND src IN {{keys}}",
    f"DELETE FROM lineage_edge WHERE kind = {EdgeKind.CONTAINS.value} AND src IN"
    " (SELECT node FROM lineage_filling WHERE carrier IN {keys})",
    "DELETE FROM lineage_filling WHERE carrier IN {keys}",
    "DELETE FROM lineage_interval WHERE parent IN {keys}",
)


def write_derived(connection: Connection, derived: Derived, fresh: Collection[Node]) -> None:
    """Replace the rows of every scope in `derived`. Processes in `fresh` have no rows yet."""
    stale = [node_id(node) for node in derived.edges if node not in fresh]
    execute_keys(connection, "DELETE FROM lineage_edge WHERE src IN {keys}", stale)
    execute_keys(connection, "DELETE FROM lineage_edge WHERE dst IN {keys}", stale)
    parents = list(derived.intervals)
    for statement in _OF_PARENT:
        execute_keys(connection, statement, parents)
    _write_edges(connection, derived)
    _write_parents(connection, derived)
    _write_things(connection, derived)


def _write_edges(connection: Connection, derived: Derived) -> None:
    found: dict[tuple[int, int, int, int], int] = {}
    for group in (derived.lots, *derived.edges.values(), *derived.contains.values()):
        for row in group:
            key = (node_id(row.source), node_id(row.target), row.kind.value, row.record)
            found[key] = int(row.inferred)
    if derived.lots:
        lots = [
            (node_id(row.source), node_id(row.target), row.kind.value, row.record) for row in derived.lots
        ]
        delete_rows(connection, edge, _EDGE[:4], sorted(set(lots)))
    insert_rows(connection, edge, _EDGE, [(*key, inferred) for key, inferred in sorted(found.items())])


def _write_parents(connection: Connection, derived: Derived) -> None:
    fillings = [_filling(row) for group in derived.fillings.values() for row in group]
    insert_rows(connection, filling, _names(filling), fillings)
    intervals = [
        _interval(number, row) for group in derived.intervals.values() for number, row in enumerate(group)
    ]
    insert_rows(connection, interval, _names(interval), intervals)
    _replace_contradictions(connection, PARENT_SCOPE, derived.clashes)


def _write_things(connection: Connection, derived: Derived) -> None:
    bodies: list[tuple[Any, str]] = []
    gone: list[Any] = []
    texts: dict[int, str] = {}
    for thing, summary in derived.summaries.items():
        if summary.state is None:
            gone.append(thing)
            continue
        # Things of one course share their summary.
        body = texts.get(id(summary))
        if body is None:
            body = texts[id(summary)] = body_of(summary)
        bodies.append((thing, body))
    clashes = {thing: summary.contradictions for thing, summary in derived.summaries.items()}
    _replace_contradictions(connection, THING_SCOPE, clashes)
    execute_keys(connection, "DELETE FROM lineage_summary WHERE thing IN {keys}", gone)
    bodies.sort()
    replace_rows(connection, summary_table, ("thing", "body"), "thing", bodies)


def body_of(summary: Summary) -> str:
    """A summary as JSON: [state, stock rows, legs, members that never received it], docs/spec/lineage.md."""
    stock = [stock_row(row) for row in summary.stock]
    value = [summary.state, stock, [_leg(leg) for leg in summary.legs], summary.never_received]
    return orjson.dumps(value, default=list).decode()


def _replace_contradictions(
    connection: Connection, scope: int, found: Mapping[ThingKey, Sequence[Contradiction]]
) -> None:
    """Put the contradictions of things or parents in the place of those before, under each thing they name."""
    query = f"SELECT thing, n, things FROM lineage_contradiction WHERE scope = {scope} AND thing IN {{keys}}"
    stale = [
        (thing, *place)
        for owner, number, things in select_keys(connection, query, found)
        for thing, *place in _places(owner, scope, number, orjson.loads(things))
    ]
    delete_rows(connection, contradiction, ("thing", "scope", "n"), stale)
    rows = [
        (thing, *place, clash.kind, _json(clash.things), _json(clash.records), clash.detail)
        for owner, clashes in found.items()
        for number, clash in enumerate(clashes)
        for thing, *place in _places(owner, scope, number, clash.things)
    ]
    insert_rows(connection, contradiction, _names(contradiction), rows)


def _places(owner: Any, scope: int, number: int, things: Iterable[Any]) -> list[tuple[Any, int, int]]:
    """The keys under which one contradiction stands: its owner's, and one for each other thing it names."""
    others = sorted(set(things) - {owner})
    return [
        (owner, scope, number),
        *((one, scope + _OTHERS, owner << _NUMBER_BITS | number) for one in others),
    ]


def _json(value: Iterable[Any]) -> str:
    return orjson.dumps(list(value)).decode()


def _leg(leg: Leg) -> list[Any]:
    return [*leg[:6], text(leg.sent), text(leg.got), *leg[8:]]


def _filling(row: Filling) -> tuple[Any, ...]:
    times = (row.from_.time_us, _us(row.until), _us(row.inferred_from))
    return (row.node.carrier, node_id(row.node), *times, int(row.put_out), row.opened_by, row.closed_by)


def _interval(number: int, row: Interval) -> tuple[Any, ...]:
    node = None if row.filling is None else node_id(row.filling)
    times = (row.from_.time_us, _us(row.until), _us(row.inferred_from))
    amount = (text(row.quantity), row.unit)
    return (row.parent, number, row.child, node, *times, *amount, row.opened_by, row.closed_by)


def _us(when: Instant | None) -> int | None:
    return None if when is None else when.time_us


def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c)


def stored_view(connection: Connection) -> View:
    """What the tables hold, as `fabric.lineage.view` shows what was derived: for `rebuild equals` and fsck."""
    return _Dump(connection).view()


class _Dump:
    """Reads all lineage tables, naming things by IRI and records by commitment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        every = connection.exec_driver_sql("SELECT id, iri FROM thing")
        self._iris: dict[int, str] = dict(map(tuple, every))
        every = connection.exec_driver_sql("SELECT id, commitment FROM record")
        self._records = {number: commitment.hex() for number, commitment in every}
        runs = connection.exec_driver_sql(
            "SELECT DISTINCT member, transformation_id FROM event WHERE transformation_id IS NOT NULL"
        )
        self._links = dict(map(tuple, connection.exec_driver_sql("SELECT link, statement FROM same")))
        self._runs = {node_id(RunNode(member, name)): ["run", member, name] for member, name in runs}

    def view(self) -> View:
        return {
            "edges": rows(map(self._edge, self._all("lineage_edge"))),
            "fillings": rows(map(self._filling, self._all("lineage_filling"))),
            "intervals": rows(map(self._interval, self._all("lineage_interval"))),
            "things": rows(map(self._thing, self._all("lineage_summary"))),
            "contradictions": rows(map(self._clash, self._all("lineage_contradiction"))),
        }

    def _all(self, table: str) -> list[Any]:
        return list(self._connection.exec_driver_sql(f"SELECT * FROM {table}"))

    def _node(self, node: int | None) -> Any:
        if node is None:
            return None
        if is_filling(node):
            return ["filling", self._iris[carrier_of(node)], (-node >> 2) & 0xFFFFF]
        if is_process(node):
            return self._runs.get(node) or ["process", self._records[-node >> 2]]
        return self._iris[node]

    def _edge(self, row: Any) -> list[Any]:
        kind = EdgeKind(row.kind)
        stated = (self._links if kind is EdgeKind.SAME else self._records)[row.record]
        return [self._node(row.src), self._node(row.dst), kind.name.lower(), bool(row.inferred), stated]

    def _filling(self, row: Any) -> list[Any]:
        times = [row.from_us, row.until_us, row.inferred_from_us]
        return [self._node(row.node), *times, bool(row.put_out), *self._ends(row)]

    def _interval(self, row: Any) -> list[Any]:
        names = [self._iris[row.child], self._iris[row.parent], self._node(row.filling)]
        times = [row.from_us, row.until_us, row.inferred_from_us]
        return [*names, *times, row.quantity, row.unit, *self._ends(row)]

    def _ends(self, row: Any) -> list[Any]:
        return [self._records[row.opened_by], None if row.closed_by is None else self._records[row.closed_by]]

    def _thing(self, row: Any) -> list[Any]:
        state, stock, legs, never = orjson.loads(row.body)
        last = [self._records[state[0]], *state[1:]]
        return [self._iris[row.thing], last, stock, rows(map(self._leg, legs)), never]

    def _leg(self, leg: list[Any]) -> list[Any]:
        carrier = None if leg[0] is None else self._iris[leg[0]]
        records = [sorted(self._records[record] for record in part) for part in leg[12:14]]
        return [carrier, *leg[1:12], *records]

    def _clash(self, row: Any) -> list[Any]:
        things = sorted(self._iris[thing] for thing in orjson.loads(row.things))
        records = sorted(self._records[record] for record in orjson.loads(row.records))
        return [row.kind, things, records, row.detail]


__all__ = [
    "EVENT_ID_SCOPE",
    "body_of",
    "stored_view",
    "write_derived",
]
