"""Edges of derivation: what went into a process, what came out of it, which serials belong to a lot.

Every input is a source of every output; a process node between them keeps that linear. A carrier stands for
its filling and what was in it then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .containment import Contents, contents_at
from .derived import Edge, EdgeKind, Node, ProcessNode, RunNode
from .fact import INPUT, MENTION, OUTPUT, Fact, Line, ThingKey

TRANSFORMATION = "TransformationEvent"


def process_of(fact: Fact) -> ProcessNode | RunNode:
    """The process of a transformation: its own, or that of its member's run."""
    if fact.transformation_id is None:
        return ProcessNode(fact.record)
    return RunNode(fact.member, fact.transformation_id)


def process_edges(fact: Fact, carriers: Mapping[ThingKey, Contents]) -> list[Edge]:
    """The edges of one TransformationEvent, all of whose lines are given. `carriers` holds those it names.

    A record that the holder of its place contradicts is followed, as inferred: a missed lot costs more.
    """
    node = process_of(fact)
    found: dict[tuple[Node, Node, EdgeKind], bool] = {}
    for line in fact.lines:
        if line.role not in (INPUT, OUTPUT):
            continue
        for end, inferred in _ends(line, fact, carriers):
            key: tuple[Node, Node, EdgeKind]
            key = (end, node, EdgeKind.INPUT) if line.role == INPUT else (node, end, EdgeKind.OUTPUT)
            inferred = inferred or not fact.counts
            found[key] = found.get(key, True) and inferred
    return [
        Edge(source, target, kind, inferred, fact.record)
        for (source, target, kind), inferred in found.items()
    ]


def _ends(line: Line, fact: Fact, carriers: Mapping[ThingKey, Contents]) -> Iterator[tuple[Node, bool]]:
    contents = carriers.get(line.thing)
    if contents is None:
        yield line.thing, False
        return
    yield from _standing_for(contents, fact, carriers, line.role == INPUT, False, {line.thing})


def _standing_for(
    contents: Contents,
    fact: Fact,
    carriers: Mapping[ThingKey, Contents],
    spread: bool,
    guessed: bool,
    seen: set[ThingKey],
) -> Iterator[tuple[Node, bool]]:
    """A carrier's filling at the event, and as an input all that was in it, carriers inside it likewise."""
    filling, inside = contents_at(contents, fact.instant)
    if filling is None:
        return
    outside = fact.instant < filling.from_ or (filling.until is not None and fact.instant > filling.until)
    late = filling.inferred_from is not None and fact.instant >= filling.inferred_from
    yield filling.node, guessed or outside or late
    if not spread:
        # What a put-out filling held follows from the filling itself, by `contains`.
        return
    for held in inside:
        nested = carriers.get(held.child)
        if nested is None:
            yield held.child, guessed or held.inferred
        elif held.child not in seen:
            seen.add(held.child)
            yield from _standing_for(nested, fact, carriers, spread, guessed or held.inferred, seen)


def contains_edges(contents: Contents, is_carrier: bool, carriers: Mapping[ThingKey, Contents]) -> list[Edge]:
    """What follows from a parent by aggregation: from material always, from a carrier if a process put it out."""
    put_out = {filling.node for filling in contents.fillings if filling.put_out}
    found: dict[tuple[Node, Node], Edge] = {}
    for interval in contents.intervals:
        if not interval.aggregated or (is_carrier and interval.filling not in put_out):
            continue
        source: Node = interval.filling if is_carrier else contents.parent
        inferred = interval.inferred_from is not None and interval.inferred_from <= interval.from_
        target: Node | None = interval.child
        nested = carriers.get(interval.child)
        if nested is not None:
            filling, _ = contents_at(nested, interval.from_)
            target = None if filling is None else filling.node
        if target is None:
            continue
        before = found.get((source, target))
        if before is None or (before.inferred and not inferred):
            found[source, target] = Edge(source, target, EdgeKind.CONTAINS, inferred, interval.opened_by)
    return list(found.values())


def lot_edges(facts: Iterable[Fact]) -> list[Edge]:
    """Which serials belong to which lot, by each record that says so."""
    return [
        Edge(line.lot, line.thing, EdgeKind.LOT_OF, not fact.counts, fact.record)
        for fact in facts
        for line in fact.lines
        if line.lot is not None and line.role != MENTION
    ]
