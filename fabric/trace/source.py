"""What a trace reads: one Protocol, answered by derived values in memory or by stored tables.

Rows are plain tuples, because a large answer has hundreds of thousands of them. Every method takes a whole set
of nodes and costs a fixed number of queries. Nodes a reader may not see do not exist for any of them. All
answers of one source are about the same tree size; a source is used by one thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from .reach import Direction, Node, Step

if TYPE_CHECKING:
    from fabric.lineage import Fact

ThingRow: TypeAlias = tuple[Node, str, str, str | None, int | None, int | None]
"""Node, IRI (of the carrier for a filling), kind (lot, serial, class, filling ...), lot it belongs to, and a
filling's from and until in microseconds UTC (until None = still open)."""

StateRow: TypeAlias = tuple[Node, str | None, int | None, str | None, str | None, str]
"""Node, last event's record (hex) and time, place IRI, possessing party IRI, and one of held, in_transit,
outside, ended, unknown."""

StockRow: TypeAlias = tuple[
    Node, str, str | None, str, str, str, str, str, str, str | None, str, str, str, int
]
"""Node, place IRI, unit, then decimal texts: made, received, dispatched, used, sold, destroyed, counted (or
None), on hand, book stock above a later count, surplus of the place; and the number of rows without quantity."""

MovementRow: TypeAlias = tuple[Node, str | None, str | None, str | None, str, int | None]
"""Node, unit, sent, got (decimal texts or None), state of the leg, time of dispatch."""

LegRow: TypeAlias = tuple[
    Node,
    str | None,
    str | None,
    str | None,
    int | None,
    int | None,
    str,
    bool,
    tuple[str, ...],
    tuple[str, ...],
]
"""Node, carrier IRI, from, to, dispatched, received, state, whether stated, documents, records (hex)."""

IntervalRow: TypeAlias = tuple[Node, Node, Node, int, int | None, bool]
"""Child, parent (the carrier as a thing), the filling, from, until (None = open), inferred. Closed at both ends."""

ContradictionRow: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...], str]
"""Kind, things (IRI), records (hex), detail."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an answer covers: a tree size, the time of its last seal, and the graph's tree size if it was used."""

    size: int
    time_us: int | None
    graph_size: int | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Where a trace begins: its nodes; `ends` are classes without a lot, which are listed and not followed."""

    nodes: frozenset[Node]
    ends: frozenset[Node] = frozenset()


class TraceSource(Protocol):
    """Lineage, as one reader sees it at one tree size."""

    @property
    def coverage(self) -> Coverage:
        """The tree size and seal time that every answer of this source is about."""

    @property
    def limited(self) -> bool:
        """Whether records may be hidden from this reader."""

    def start(self, iri: str, at_us: int | None) -> Start:
        """The nodes a thing stands for. Raises NotFound, in the same words for unknown and for hidden."""

    def neighbours(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        """See `Neighbours`."""

    def things(self, nodes: Collection[Node]) -> Iterable[ThingRow]:
        """One row a node; processes have none."""

    def links(self, nodes: Collection[Node]) -> Iterable[tuple[Node, str]]:
        """Each `same` link (statement id) that touches a node."""

    def states(self, nodes: Collection[Node]) -> Iterable[StateRow]:
        """Where each node is at its last event; no row where there is no event."""

    def stock(self, nodes: Collection[Node]) -> Iterable[StockRow]:
        """Amounts per place and unit."""

    def movements(self, nodes: Collection[Node]) -> Iterable[MovementRow]:
        """The amounts of every leg, without its places and records."""

    def legs(self, nodes: Collection[Node]) -> Iterable[LegRow]:
        """Every leg of every node, in full."""

    def intervals(self, nodes: Collection[Node]) -> Iterable[IntervalRow]:
        """Directly around each node: what it was a child of, and when."""

    def facts(self, nodes: Collection[Node]) -> Iterable[Fact]:
        """Every live fact that names any of the nodes' things (fillings: their carrier), each once."""

    def contradictions(self, nodes: Collection[Node]) -> Iterable[ContradictionRow]:
        """Every contradiction about any of the nodes, each once."""

    def voided(self, nodes: Collection[Node]) -> Iterable[tuple[Node, str, str]]:
        """Node, the voided record that names it, and the record that voids it."""

    def hidden(self, nodes: Collection[Node]) -> tuple[int, frozenset[Node]]:
        """How many hidden records name any of the nodes, and which nodes they name."""

    def members(self, identifiers: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        """The member that holds each identifier (IRI) at that time; absent where nobody does."""
