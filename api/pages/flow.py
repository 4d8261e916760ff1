"""The flow of a trace as boxes and arrows: a box a thing, or past 200 things a box for each level, place and step.

Edges are asked of the trace's source, so a limited reader's drawing shows what that reader may see and no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from fabric.trace import Direction, Trace, TraceSource
from fabric.trace import Node as Member

from . import text
from .drawing import Arrow, Node

MAX_BOXES: Final = 200
"""Above this many things a drawing shows groups."""


_Key: TypeAlias = tuple[int, tuple[str, ...]]
"""Of a group: its level, then as far as they count its step and its place."""

_STATES: Final = {
    "held": "at {}",
    "in_transit": "in transit from {}",
    "outside": "gone to {}",
    "ended": "ended at {}",
}


@dataclass(frozen=True, slots=True)
class Flow:
    """What is drawn; `grouped` tells that boxes stand for several things."""

    nodes: list[Node]
    arrows: list[Arrow]
    grouped: bool


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands in the boxes beside names: by IRI what is missing, by member (id of a record) its last step."""

    missing: Mapping[str, str]
    steps: Mapping[int, str]


def flow(trace: Trace, labels: Mapping[str, str], marks: Marks) -> Flow:
    """The drawing of a trace."""
    if len(trace) <= MAX_BOXES:
        return _singles(trace, labels, marks)
    return _groups(trace, labels, marks)


def signed_levels(trace: Trace) -> dict[Member, int]:
    """Levels with sources below 0 and products above; what lies both ways counts as a product."""
    levels: dict[Member, int] = {}
    for way in (Direction.BACKWARD, Direction.FORWARD):
        walk = trace.walks.get(way)
        sign = 1 if way is Direction.FORWARD else -1
        levels.update({node: sign * level for node, level in walk.levels.items()} if walk else {})
    return levels


def next_of(source: TraceSource, nodes: Collection[Member]) -> dict[Member, bool]:
    """What nodes became, through processes; True for what follows from an inferred relation only."""
    found, inferred = _ahead(source, nodes, stated=False)
    sure = _ahead(source, nodes, stated=True)[0] if inferred else found
    return {node: node not in sure for node in found}


def _ahead(source: TraceSource, nodes: Collection[Member], *, stated: bool) -> tuple[set[Member], bool]:
    step = source.neighbours(nodes, Direction.FORWARD, stated=stated)
    found, inferred = set(step.onto), step.inferred
    if step.into:
        through = source.neighbours(step.into, Direction.FORWARD, stated=stated)
        found |= through.onto
        inferred = inferred or through.inferred
    return found, inferred


def _singles(trace: Trace, labels: Mapping[str, str], marks: Marks) -> Flow:
    ids = {node: str(number) for number, node in enumerate(trace.order)}
    arrows = [
        Arrow(ids[node], ids[target], possible)
        for node in ids
        for target, possible in next_of(trace.source, {node}).items()
        if target in ids and target != node
    ]
    columns = _columns([ids[node] for node in trace.order], arrows)
    stock = _stock(trace)
    boxes = [_single(trace, node, ids[node], columns, (labels, marks, stock)) for node in trace.order]
    return Flow(boxes, arrows, grouped=False)


def _single(
    trace: Trace,
    node: Member,
    identifier: str,
    columns: Mapping[str, int],
    words: tuple[Mapping[str, str], Marks, Mapping[Member, Sequence[str | None]]],
) -> Node:
    labels, marks, stock = words
    _, _, iri, kind, _, _ = trace.things[node]
    product, state = text.product_of(iri), trace.states.get(node)
    lines = [text.name(product, labels)] if product else []
    if node in stock:
        where = stock[node]
        lines.append(
            f"stock at {len(where)} places" if len(where) > 1 else _whereabouts(where[0], "held", labels)
        )
    else:
        lines.append(_whereabouts(state[2], state[4], labels) if state else "whereabouts unknown")
    return Node(
        identifier,
        columns[identifier],
        text.name(iri, labels) if product is None else text.code(iri),
        tuple(lines),
        kind,
        text.thing_url(iri),
        node in trace.possible,
        trace.levels[node] == 0,
        marks.missing.get(iri),
    )


def _stock(trace: Trace) -> dict[Member, list[str | None]]:
    """Where there is stock of each lot, by the book; the last event of a lot tells of one place only."""
    lots = {node for node, _ in trace.balances}
    found = {}
    for node, _, stock, _, _ in trace.courses():
        places = {row[0] for row in stock if row[9] != "0"} if node in lots else set()
        if places:
            found[node] = sorted(places, key=lambda place: place or "")
    return found


def _whereabouts(place: str | None, state: str, labels: Mapping[str, str]) -> str:
    where = text.name(place, labels)
    if not where:
        return text.words(state)
    return _STATES.get(state, "{}").format(where)


def _columns(nodes: Sequence[str], arrows: Iterable[Arrow]) -> dict[str, int]:
    """A column for each node such that arrows lead right: the longest way there. What is on a cycle comes last."""
    ahead: dict[str, set[str]] = defaultdict(set)
    waiting = dict.fromkeys(nodes, 0)
    for arrow in arrows:
        if arrow.target not in ahead[arrow.source]:
            ahead[arrow.source].add(arrow.target)
            waiting[arrow.target] += 1
    columns = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not waiting[node]]
    left = {node for node in nodes if waiting[node]}
    while ready or left:
        if not ready:
            # Every way in is from the cycle itself, so one of its nodes begins, the one reached earliest.
            begin = min(left, key=lambda node: (columns[node], nodes.index(node)))
            left.discard(begin)
            ready.append(begin)
        node = ready.pop()
        for target in sorted(ahead[node]):
            if target in left:
                columns[target] = max(columns[target], columns[node] + 1)
                waiting[target] -= 1
                if not waiting[target]:
                    left.discard(target)
                    ready.append(target)
    return columns


def _groups(trace: Trace, labels: Mapping[str, str], marks: Marks) -> Flow:
    """Groups by level, step and place; where those are too many, by level and step, else by level alone."""
    levels = signed_levels(trace)
    for parts in (2, 1, 0):
        groups: dict[_Key, list[Member]] = defaultdict(list)
        for node in trace.things:
            groups[levels[node], _step_and_place(trace, node, marks)[:parts]].append(node)
        if len(groups) <= MAX_BOXES:
            break
    ordered = sorted(groups.items(), key=lambda item: item[0])
    ids = {key: f"g{number}" for number, (key, _) in enumerate(ordered)}
    belongs = {node: ids[key] for key, inside in ordered for node in inside}
    boxes = [_group(trace, ids[key], key, inside, (labels, marks)) for key, inside in ordered]
    joined: dict[tuple[str, str], bool] = {}
    for key, inside in ordered:
        for target, possible in next_of(trace.source, inside).items():
            pair = (ids[key], belongs.get(target, ""))
            if pair[1] and pair[0] != pair[1]:
                joined[pair] = joined.get(pair, True) and possible
    return Flow(boxes, [Arrow(*pair, possible) for pair, possible in joined.items()], grouped=True)


def _step_and_place(trace: Trace, node: Member, marks: Marks) -> tuple[str, str]:
    """The step last seen, and where: what things are grouped by."""
    state = trace.states.get(node)
    return ("", "") if state is None else (marks.steps.get(state[0]) or state[4], state[2] or "")


def _group(
    trace: Trace,
    identifier: str,
    key: _Key,
    inside: Sequence[Member],
    words: tuple[Mapping[str, str], Marks],
) -> Node:
    labels, marks = words
    level, parts = key
    lines = tuple(f"{text.words(part) or 'step unknown'}" for part in parts[:1])
    lines += tuple(text.name(part, labels) or "place unknown" for part in parts[1:])
    if len(inside) == 1:
        iri = trace.things[inside[0]][2]
        title, href, alert = text.code(iri), text.thing_url(iri), marks.missing.get(iri)
    else:
        title, href = f"{len(inside):,} things".replace(",", "\u202f"), None
        count = sum(trace.things[node][2] in marks.missing for node in inside)
        alert = f"{count} with unaccounted quantity" if count else None
    possible = all(node in trace.possible for node in inside)
    asked = any(trace.levels[node] == 0 for node in inside)
    return Node(identifier, level, title, lines, "group", href, possible, asked, alert, len(inside))


__all__ = ["MAX_BOXES", "Flow", "Marks", "flow", "next_of", "signed_levels"]
