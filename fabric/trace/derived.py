"""A source that derives lineage when it is asked, from whatever records its reader shows.

It answers for limited readers and for earlier tree sizes, over SQL, and for an offline verifier, over disclosed
records in memory. Nothing but visible records enters, so nothing hidden can show. Stored tables answer the same
questions faster for a reader who sees everything now (`fabric.trace.sql`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from fabric.lineage import (
    Contradiction,
    Edge,
    Fact,
    FactReader,
    Filling,
    HolderOf,
    Interval,
    Leg,
    Sort,
    Stock,
    Summary,
)
from fabric.lineage.derive import Touched, derive
from fabric.lineage.derived import FillingNode, ProcessNode, RunNode
from fabric.lineage.process import process_of
from fabric.lineage.quantity import exact_text

from .reach import Direction, Node, Step
from .records import Catalogue, RecordSource
from .source import (
    ContradictionRow,
    Course,
    Coverage,
    FillingRow,
    IntervalRow,
    StateRow,
    Thing,
    ThingRow,
)


class DerivedSource(RecordSource):
    """`TraceSource` over a `FactReader`. Derives each thing once, and everything a level needs in one call."""

    def __init__(
        self, coverage: Coverage, reader: FactReader, catalogue: Catalogue, holder_of: HolderOf
    ) -> None:
        super().__init__(coverage, reader, catalogue, holder_of)
        self._known: set[Thing] = set()
        self._ahead: dict[Node, dict[Node, bool]] = {}
        self._back: dict[Node, dict[Node, bool]] = {}
        self._fillings: dict[Thing, list[Filling]] = {}
        self._intervals: dict[Thing, list[Interval]] = {}
        self._parents: dict[Thing, set[Thing]] = {}
        self._summaries: dict[Thing, Summary] = {}
        self._clashes: set[tuple[Thing, ContradictionKey]] = set()

    @property
    def limited(self) -> bool:
        """Whether records may be hidden from this reader."""
        return self._catalogue.hidden(()) is not None

    def neighbours(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        """See `Neighbours`."""
        self._need(thing for node in nodes if (thing := _thing(node)) is not None)
        relation = self._ahead if direction is Direction.FORWARD else self._back
        found: set[Node] = set()
        guessed = False
        for node in nodes:
            for other, inferred in relation.get(node, _NOTHING).items():
                if not (inferred and stated):
                    found.add(other)
                    guessed = guessed or inferred
        return self._step(found, guessed)

    def things(self, nodes: Collection[Node]) -> Iterator[ThingRow]:
        """One row a node; processes have none."""
        named = {node: thing for node in nodes if (thing := _thing(node)) is not None}
        iris = self._catalogue.iris(set(named.values()))
        sorts = self._catalogue.sorts(set(named.values()))
        for node, thing in named.items():
            if isinstance(node, FillingNode):
                filling = self._filling(node)
                yield node, thing, iris[thing], "filling", filling.from_.time_us, _time(filling.until)
            else:
                yield node, thing, iris[thing], _KINDS.get(sorts[thing], "serial"), None, None

    def courses(self, nodes: Collection[Node]) -> Iterator[Course]:
        """Where each node is, was and went; no row where nothing is known."""
        self._need(thing for node in nodes if (thing := _thing(node)) is not None)
        for node in nodes:
            summary = self._summaries.get(_thing(node))
            if isinstance(node, FillingNode):
                yield node, self._filling_state(node, summary), (), (), ()
            elif summary is not None:
                stock = [_stock(row) for row in summary.stock]
                legs = [_leg(leg) for leg in summary.legs]
                yield node, summary.state, stock, legs, summary.never_received

    def fillings(self, carriers: Collection[Thing]) -> Iterator[FillingRow]:
        """Every filling of each carrier."""
        self._need(carriers)
        for carrier in carriers:
            for filling in self._fillings.get(carrier, ()):
                yield carrier, filling.node, filling.from_.time_us, _time(filling.until)

    def within(self, parents: Collection[Thing]) -> Iterator[IntervalRow]:
        """Directly inside each parent: what it held, and when."""
        self._need(parents)
        for parent in parents:
            yield from map(_interval, self._intervals.get(parent, ()))

    def around(self, children: Collection[Thing]) -> Iterator[IntervalRow]:
        """Directly around each thing: what it was a child of, and when."""
        self._need(children)
        wanted = set(children)
        for parent in {parent for child in children for parent in self._parents.get(child, ())}:
            yield from (_interval(row) for row in self._intervals[parent] if row.child in wanted)

    def process(self, fact: Fact) -> Node:
        """The node of the process that a transformation belongs to."""
        return process_of(fact)

    def contradictions(self, things: Collection[Thing]) -> Iterator[ContradictionRow]:
        """Every contradiction about any of the things, each once."""
        self._need(things)
        wanted = set(things)
        found = {key for thing, key in self._clashes if thing in wanted}
        found.update(_key(clash) for clash in self._catalogue.conflicts(wanted))
        names = self._catalogue.iris({thing for key in found for thing in key[1]})
        for kind, about, records, detail in found:
            yield kind, tuple(names[thing] for thing in about), records, detail

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]]:
        """How many hidden records name any of the things, and which things they name."""
        return self._catalogue.hidden(things) or (0, frozenset())

    def _need(self, things: Iterable[Thing]) -> None:
        """Derive what was not derived yet; a scope that comes again replaces itself."""
        missing = set(things) - self._known
        if not missing:
            return
        self._known |= missing
        touched = missing | set(self._catalogue.serials(missing))
        derived = derive(Touched.by(self._reader.whole_facts_of(touched)), self._reader)
        for edges in (derived.lots, *derived.edges.values(), *derived.contains.values()):
            for edge in edges:
                self._link(edge)
        for one, other, _ in self._catalogue.links(missing):
            self._ahead.setdefault(one, {})[other] = self._back.setdefault(one, {})[other] = False
            self._ahead.setdefault(other, {})[one] = self._back.setdefault(other, {})[one] = False
        self._fillings.update(derived.fillings)
        self._intervals.update(derived.intervals)
        self._summaries.update(derived.summaries)
        for parent, inside in derived.intervals.items():
            for interval in inside:
                self._parents.setdefault(interval.child, set()).add(parent)
        for rows in (*derived.clashes.values(), *(one.contradictions for one in derived.summaries.values())):
            for clash in rows:
                key = _key(clash)
                self._clashes.update((thing, key) for thing in clash.things)

    def _link(self, edge: Edge) -> None:
        ahead = self._ahead.setdefault(edge.source, {})
        ahead[edge.target] = edge.inferred and ahead.get(edge.target, True)
        back = self._back.setdefault(edge.target, {})
        back[edge.source] = edge.inferred and back.get(edge.source, True)

    def _step(self, found: set[Node], guessed: bool) -> Step:
        into = {node for node in found if isinstance(node, ProcessNode | RunNode)}
        things = {node for node in found - into if not isinstance(node, FillingNode)}
        sorts = self._catalogue.sorts(things)
        ends = {thing for thing in things if sorts[thing] is Sort.CLASS}
        return Step(found - into - ends, into, ends, guessed)

    def _filling(self, node: FillingNode) -> Filling:
        self._need({node.carrier})
        return next(one for one in self._fillings[node.carrier] if one.node == node)

    def _filling_state(self, node: FillingNode, summary: Summary | None) -> StateRow | None:
        """A filling that was emptied has ended; an open one is where its carrier is."""
        filling = self._filling(node)
        if filling.until is None:
            return None if summary is None else summary.state
        return filling.closed_by, filling.until.time_us, None, None, "ended"


ContradictionKey = tuple[str, tuple[Thing, ...], tuple[int, ...], str]
_NOTHING: Mapping[Node, bool] = {}
_KINDS = {Sort.LOT: "lot", Sort.CLASS: "class"}


def _key(clash: Contradiction) -> ContradictionKey:
    return clash.kind, clash.things, clash.records, clash.detail


def _thing(node: Node) -> Thing | None:
    """The thing of a node; None for a process."""
    if isinstance(node, FillingNode):
        return node.carrier
    return None if isinstance(node, ProcessNode | RunNode) else node


def _time(instant: object) -> int | None:
    return getattr(instant, "time_us", None)


def _interval(row: Interval) -> IntervalRow:
    return row.child, row.parent, row.filling, row.from_.time_us, _time(row.until), _time(row.inferred_from)


def _stock(row: Stock) -> list[object]:
    counted = None if row.counted is None else exact_text(row.counted)
    moved = (row.made, row.received, row.dispatched, row.used, row.sold, row.destroyed)
    last = (row.on_hand, row.short, row.surplus)
    return [
        row.place,
        row.unit,
        *map(exact_text, moved),
        counted,
        *map(exact_text, last),
        row.without_quantity,
    ]


def _leg(leg: Leg) -> list[object]:
    sent = None if leg.sent is None else exact_text(leg.sent)
    got = None if leg.got is None else exact_text(leg.got)
    head = [
        leg.carrier,
        leg.from_place,
        leg.to_place,
        leg.dispatched_us,
        leg.received_us,
        leg.unit,
        sent,
        got,
    ]
    return [*head, leg.state, leg.stated, leg.inferred, leg.documents, leg.dispatches, leg.receipts]


__all__ = ["Catalogue", "DerivedSource"]
