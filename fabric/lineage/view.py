"""Derived lineage in names that outlive a process: IRIs and record commitments, for comparing two indices.

What a rebuild gives, what another order of arrival gives and what is stored must have equal views.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from .derived import (
    Contradiction,
    Derived,
    Edge,
    Filling,
    FillingNode,
    Interval,
    Leg,
    Node,
    ProcessNode,
    RunNode,
    Stock,
    Summary,
)
from .fact import Instant
from .quantity import exact_text

View: TypeAlias = dict[str, list[list[Any]]]
NameOf: TypeAlias = Callable[[Hashable], str]
RecordOf: TypeAlias = Callable[[int], str]


def view(derived: Derived, name: NameOf, record: RecordOf) -> View:
    """Everything derived as sorted rows of JSON values. `name` gives a thing's IRI, `record` a commitment in hex."""
    edges = [*derived.lots]
    for group in (*derived.edges.values(), *derived.contains.values()):
        edges += group
    clashes = [clash for group in derived.clashes.values() for clash in group]
    for summary in derived.summaries.values():
        clashes += summary.contradictions
    return {
        "edges": rows(edge_row(edge, name, record) for edge in edges),
        "fillings": rows(
            filling_row(row, name, record) for group in derived.fillings.values() for row in group
        ),
        "intervals": rows(
            interval_row(row, name, record) for group in derived.intervals.values() for row in group
        ),
        "things": rows(
            [name(thing), *summary_row(item, name, record)]
            for thing, item in derived.summaries.items()
            if item.state is not None
        ),
        "contradictions": rows(contradiction_row(clash, name, record) for clash in clashes),
    }


def rows(found: Iterable[list[Any]]) -> list[list[Any]]:
    """Distinct rows in one order."""
    distinct = {repr(row): row for row in found}
    return [distinct[key] for key in sorted(distinct)]


def node_name(node: Node, name: NameOf, record: RecordOf) -> Any:
    """A node as JSON: a thing's IRI, or the kind of node and what identifies it."""
    if isinstance(node, ProcessNode):
        return ["process", record(node.record)]
    if isinstance(node, RunNode):
        return ["run", node.member, node.transformation_id]
    if isinstance(node, FillingNode):
        return ["filling", name(node.carrier), node.number]
    return name(node)


def edge_row(edge: Edge, name: NameOf, record: RecordOf) -> list[Any]:
    """source, target, kind, inferred, record."""
    ends = [node_name(edge.source, name, record), node_name(edge.target, name, record)]
    return [*ends, edge.kind.name.lower(), edge.inferred, record(edge.record)]


def filling_row(row: Filling, name: NameOf, record: RecordOf) -> list[Any]:
    """node, from, until, inferred from, put out, opened by, closed by."""
    times = [row.from_.time_us, _us(row.until), _us(row.inferred_from)]
    return [
        node_name(row.node, name, record),
        *times,
        row.put_out,
        *_ends(row.opened_by, row.closed_by, record),
    ]


def interval_row(row: Interval, name: NameOf, record: RecordOf) -> list[Any]:
    """child, parent, filling, from, until, inferred from, quantity, unit, opened by, closed by."""
    filling = None if row.filling is None else node_name(row.filling, name, record)
    times = [row.from_.time_us, _us(row.until), _us(row.inferred_from)]
    amount = [text(row.quantity), row.unit]
    return [
        name(row.child),
        name(row.parent),
        filling,
        *times,
        *amount,
        *_ends(row.opened_by, row.closed_by, record),
    ]


def contradiction_row(row: Contradiction, name: NameOf, record: RecordOf) -> list[Any]:
    """kind, things, records, detail."""
    return [row.kind, sorted(map(name, row.things)), sorted(map(record, row.records)), row.detail]


def summary_row(summary: Summary, name: NameOf, record: RecordOf) -> list[Any]:
    """state, stock rows, legs, members that never received it."""
    state = summary.state
    last = None if state is None else [record(state.record), *state[1:]]
    stock = [stock_row(row) for row in summary.stock]
    legs = rows(leg_row(leg, name, record) for leg in summary.legs)
    return [last, stock, legs, list(summary.never_received)]


def stock_row(row: Stock) -> list[Any]:
    """place, unit, made, received, dispatched, used, sold, destroyed, counted, on hand, short, surplus, unknown."""
    return [
        row.place,
        row.unit,
        exact_text(row.made) if row.made else "0",
        exact_text(row.received) if row.received else "0",
        exact_text(row.dispatched) if row.dispatched else "0",
        exact_text(row.used) if row.used else "0",
        exact_text(row.sold) if row.sold else "0",
        exact_text(row.destroyed) if row.destroyed else "0",
        text(row.counted),
        exact_text(row.on_hand) if row.on_hand else "0",
        exact_text(row.short) if row.short else "0",
        exact_text(row.surplus) if row.surplus else "0",
        row.without_quantity,
    ]


def leg_row(leg: Leg, name: NameOf, record: RecordOf) -> list[Any]:
    """carrier, places, times, unit, sent, got, state, stated, inferred, documents, dispatches, receipts."""
    carrier = None if leg.carrier is None else name(leg.carrier)
    amounts = [leg.unit, text(leg.sent), text(leg.got)]
    records = [sorted(map(record, leg.dispatches)), sorted(map(record, leg.receipts))]
    return [carrier, *leg[1:5], *amounts, leg.state, leg.stated, leg.inferred, list(leg.documents), *records]


def text(number: Decimal | None) -> str | None:
    """An exact decimal as text, or None."""
    return None if number is None else exact_text(number)


def _us(when: Instant | None) -> int | None:
    return None if when is None else when.time_us


def _ends(opened_by: int, closed_by: int | None, record: RecordOf) -> list[str | None]:
    return [record(opened_by), None if closed_by is None else record(closed_by)]
