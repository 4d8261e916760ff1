"""What a trace reads: one Protocol, answered by derived values in memory or by stored tables.

Rows are plain tuples, because a large answer has hundreds of thousands of them; amounts in them are decimal
texts. Every method takes a whole set and costs a fixed number of queries. What a reader may not see does not
exist for any of them but `hidden`. All answers of one source are about the same tree size; one thread uses it.

A *thing* is what records name; a *node* is what a trace reaches: a lot or serial is its own node, a filling is
a node whose thing is the carrier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from fabric.lineage import Fact, Sort

from .reach import Direction, Node, Step

Thing: TypeAlias = Node
"""A lot, serial, class or carrier as records name it."""

ThingRow: TypeAlias = tuple[Node, Thing, str, str, int | None, int | None]
"""Node, its thing, the thing's IRI, kind (lot, serial, filling, class), and a filling's from and until in
microseconds UTC (until None = still open)."""

FillingRow: TypeAlias = tuple[Thing, Node, int, int | None]
"""Carrier, node, from, until (None = open), closed at both ends."""

IntervalRow: TypeAlias = tuple[Thing, Thing, Node | None, int, int | None, int | None]
"""Child, parent, the parent's filling (None for a parent that is material), from, until (None = open), and from
when on it is only inferred (None = stated throughout). Closed at both ends."""

StateRow: TypeAlias = Sequence[Any]
"""Record (int), time, place IRI, possessing party IRI, and one of held, in_transit, ended."""

StockRow: TypeAlias = Sequence[Any]
"""Place IRI, unit, made, received, dispatched, used, sold, destroyed, counted (or None), on hand, book stock
above a later count, surplus, and the number of rows without quantity."""

LegRow: TypeAlias = Sequence[Any]
"""Carrier (a thing) or None, from, to, dispatched, received, unit, sent, got, state (received, open, ambiguous, voided,
unmatched), stated, inferred, documents, records of the dispatch, records of the receipt (ints)."""

Course: TypeAlias = tuple[Node, StateRow | None, Sequence[StockRow], Sequence[LegRow], Sequence[str]]
"""Node, state at its last event, stock, legs, and members that acted on it without having it."""

ContradictionRow: TypeAlias = tuple[str, tuple[str, ...], tuple[int, ...], str]
"""Kind, things (IRI), records, detail."""


LinkRow: TypeAlias = tuple[Thing, Thing, str]
"""A `same` link: both ends, the smaller first, and the id of its statement."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an answer covers: a tree size, the time of its last seal, and the graph's tree size if it was used."""

    size: int
    time_us: int | None
    graph_size: int | None = None


ErasedRecords: TypeAlias = Mapping[Thing, frozenset[int]]
"""For each thing, the records of which what named it was erased."""


class TraceSource(Protocol):
    """Lineage, as one reader sees it at one tree size."""

    @property
    def coverage(self) -> Coverage:
        """The tree size and seal time that every answer of this source is about."""

    @property
    def limited(self) -> bool:
        """Whether records may be hidden from this reader."""

    def find(self, iri: str) -> tuple[Thing, Sort] | None:
        """A thing that a visible record names, by its canonical IRI."""

    def neighbours(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        """See `Neighbours`."""

    def things(self, nodes: Collection[Node]) -> Iterable[ThingRow]:
        """One row a node; processes have none."""

    def courses(self, nodes: Collection[Node]) -> Iterable[Course]:
        """Where each node is, was and went; no row where nothing is known."""

    def fillings(self, carriers: Collection[Thing]) -> Iterable[FillingRow]:
        """Every filling of each carrier."""

    def within(self, parents: Collection[Thing]) -> Iterable[IntervalRow]:
        """Directly inside each parent: what it held, and when."""

    def around(self, children: Collection[Thing]) -> Iterable[IntervalRow]:
        """Directly around each thing: what it was a child of, and when."""

    def facts(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Every live fact that names any of the things, each once, with at least the lines of these things."""

    def mentions(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Every live fact that only mentions any of the things, whole."""

    def at_places(self, places: Collection[str], from_us: int, until_us: int) -> Iterable[Fact]:
        """Every live fact at any of the places (IRI) from one time to another, whole. It reads all events."""

    def process(self, fact: Fact) -> Node:
        """The node of the process that a transformation belongs to."""

    def voided(self, things: Collection[Thing]) -> Iterable[tuple[Fact, str]]:
        """Every voided fact that names any of the things, and the record (hex) that voids it."""

    def links(self, nodes: Collection[Node]) -> Iterable[tuple[Node, str]]:
        """Each `same` link (statement id) that touches a node."""

    def contradictions(self, things: Collection[Thing]) -> Iterable[ContradictionRow]:
        """Every contradiction about any of the things, each once."""

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]]:
        """How many hidden records name any of the things, and which things they name."""

    def erased(self, things: Collection[Thing]) -> ErasedRecords:
        """Records that this reader saw, of which what named any of the things was erased."""

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        """Canonical IRIs."""

    def records(self, records: Collection[int]) -> Mapping[int, str]:
        """Commitments in hex."""

    def member(self, identifier: str, time_us: int) -> str | None:
        """The member that holds an identifier (IRI) at a time, None where nobody does."""


__all__ = [
    "ContradictionRow",
    "Course",
    "Coverage",
    "ErasedRecords",
    "FillingRow",
    "IntervalRow",
    "LegRow",
    "LinkRow",
    "StateRow",
    "StockRow",
    "Thing",
    "ThingRow",
    "TraceSource",
]
