"""What lineage derives: rows that each belong to one scope, so that a store can replace a scope's rows.

A node is a thing key, or one of the three tuples below. An `inferred_from` instant says from when on a relation
is only inferred: None = it is stated throughout.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from .fact import Instant, ThingKey
from .quantity import ZERO


class ProcessNode(NamedTuple):
    """The process of one TransformationEvent without a transformationID."""

    record: int


class RunNode(NamedTuple):
    """The process of all TransformationEvents of one member with one transformationID."""

    member: str
    transformation_id: str


class FillingNode(NamedTuple):
    """One use of a carrier, by its number in the order of time. It changes when an earlier use comes to light."""

    carrier: ThingKey
    number: int


Node: TypeAlias = Hashable
"""A thing key, `FillingNode`, `ProcessNode` or `RunNode`."""


class EdgeKind(IntEnum):
    """Why the target follows from the source."""

    INPUT = 1
    OUTPUT = 2
    LOT_OF = 3
    CONTAINS = 4
    SAME = 5


class Edge(NamedTuple):
    """`target` follows from `source`: forward goes along edges, backward against them, nothing else."""

    source: Node
    target: Node
    kind: EdgeKind
    inferred: bool
    record: int


class Filling(NamedTuple):
    """One use of a carrier, closed at both ends. `put_out`: a process created it."""

    node: FillingNode
    from_: Instant
    until: Instant | None
    inferred_from: Instant | None
    put_out: bool
    opened_by: int
    closed_by: int | None


class Interval(NamedTuple):
    """A child in a parent, closed at both ends. `quantity` is what was last inside; None is unknown.

    `steps` are the amounts inside and since when. For parents that are material `filling` is None. `by_class` tells a balance from one item;
    `aggregated` tells aggregation from association.
    """

    child: ThingKey
    parent: ThingKey
    filling: FillingNode | None
    from_: Instant
    until: Instant | None
    quantity: Decimal | None
    unit: str | None
    by_class: bool
    aggregated: bool
    inferred_from: Instant | None
    opened_by: int
    closed_by: int | None
    steps: tuple[tuple[Instant, Decimal | None], ...] = ()


class Leg(NamedTuple):
    """A dispatch of a thing with its receipts, or one of the two alone.

    `carrier` is what the event named, when it was not the thing itself. `sent`, `got` None: unknown, or none.
    `state`: received, open, ambiguous, voided; `unmatched` for a receipt without a dispatch. Times are
    microseconds UTC.
    """

    carrier: ThingKey | None
    from_place: str | None
    to_place: str | None
    dispatched_us: int | None
    received_us: int | None
    unit: str | None
    sent: Decimal | None
    got: Decimal | None
    state: str
    stated: bool
    inferred: bool
    documents: tuple[str, ...]
    dispatches: tuple[int, ...]
    receipts: tuple[int, ...]


@dataclass(slots=True)
class Stock:
    """A thing's amounts at one place in one unit. `short`: book above a later count; `surplus` its converse
    and out above in; never netted. `without_quantity` rows state no amount and count in none of the others."""

    place: str | None
    unit: str | None
    made: Decimal = ZERO
    received: Decimal = ZERO
    dispatched: Decimal = ZERO
    used: Decimal = ZERO
    sold: Decimal = ZERO
    destroyed: Decimal = ZERO
    counted: Decimal | None = None
    on_hand: Decimal = ZERO
    short: Decimal = ZERO
    surplus: Decimal = ZERO
    without_quantity: int = 0


class State(NamedTuple):
    """The last event of a thing: where it was and in whose possession. `state`: held, in_transit, ended."""

    record: int
    time_us: int
    place: str | None
    possessor: str | None
    state: str


class Contradiction(NamedTuple):
    """Statements that cannot all be true. `detail` says what was expected and got."""

    kind: str
    things: tuple[ThingKey, ...]
    records: tuple[int, ...]
    detail: str


@dataclass(slots=True)
class Summary:
    """Everything derived about one thing's own course. `never_received`: members that acted on what they
    neither made nor received."""

    state: State | None = None
    stock: list[Stock] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    never_received: tuple[str, ...] = ()
    contradictions: list[Contradiction] = field(default_factory=list)


@dataclass(slots=True)
class Derived:
    """Derived rows by scope. An empty list under a scope means: there is nothing now.

    `edges` are by process node; `contains`, `fillings`, `intervals` and `clashes` by parent; `summaries` by thing;
    `lots` are the lot_of edges that new facts state, each in the scope of its record.
    """

    edges: dict[Node, list[Edge]] = field(default_factory=dict)
    contains: dict[ThingKey, list[Edge]] = field(default_factory=dict)
    fillings: dict[ThingKey, list[Filling]] = field(default_factory=dict)
    intervals: dict[ThingKey, list[Interval]] = field(default_factory=dict)
    clashes: dict[ThingKey, list[Contradiction]] = field(default_factory=dict)
    summaries: dict[ThingKey, Summary] = field(default_factory=dict)
    lots: list[Edge] = field(default_factory=list)
