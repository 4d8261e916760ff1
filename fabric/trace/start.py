"""What the thing in a question stands for: itself, a filling with its contents, or what a document mentions."""

from __future__ import annotations

from dataclasses import dataclass

from fabric.lineage import Sort
from ledger.errors import InvalidInput, NotFound

from .carrying import Window, common
from .question import Question
from .reach import Node
from .source import FillingRow, Thing, TraceSource

_CARRIERS = frozenset({Sort.SSCC, Sort.ASSET, Sort.PRIVATE})
_MATERIAL = frozenset({Sort.LOT, Sort.SERIAL})


@dataclass(frozen=True, slots=True)
class Start:
    """Where a trace begins: its nodes; `ends` are classes without a lot, which are listed and not followed."""

    nodes: frozenset[Node]
    ends: frozenset[Node] = frozenset()


def start(question: Question, source: TraceSource) -> Start:
    """The nodes a question begins at.

    Raises NotFound, in the same words for a thing that nobody named and for one whose records are hidden;
    NotFound `no-filling` for a carrier that was not in use at that time; InvalidInput `not-traceable` for a
    place, party or device.
    """
    found = source.find(question.thing)
    if found is None:
        raise NotFound(f"no visible record names {question.thing}")
    thing, sort = found
    if sort in _MATERIAL:
        return Start(frozenset({thing}))
    if sort is Sort.CLASS:
        return Start(frozenset(), frozenset({thing}))
    if sort in _CARRIERS:
        return Start(_carrier(thing, question, source))
    mentioned = _mentioned(question.thing, thing, source)
    if not mentioned:
        raise InvalidInput(
            f"expected a lot, serial, carrier or document with events, got {question.thing}",
            rule="not-traceable",
        )
    return Start(frozenset(mentioned))


def contents(rows: list[tuple[FillingRow, Window]], source: TraceSource) -> set[Node]:
    """The fillings given and all they held in the windows given: material, carriers inside, and what those held.

    One round of queries for each level of nesting; an interval is entered once, so it ends on cycles.
    """
    nodes: set[Node] = set()
    entered: set[tuple[Node, Window]] = set()
    while rows:
        windows: dict[Node, list[Window]] = {}
        for (_, node, low, high), within in rows:
            window = common((low, high), within)
            if window is not None and (node, window) not in entered:
                entered.add((node, window))
                windows.setdefault(node, []).append(window)
        nodes.update(windows)
        rows = _inside(windows, {row[0] for row, _ in rows}, nodes, source)
    return nodes


def _inside(
    windows: dict[Node, list[Window]], carriers: set[Thing], nodes: set[Node], source: TraceSource
) -> list[tuple[FillingRow, Window]]:
    """Add the material inside to `nodes`; give the fillings inside with the time that counts."""
    children: dict[Thing, list[Window]] = {}
    for child, _, filling, low, high, _ in source.within(carriers):
        for window in windows.get(filling, ()):
            inside = common((low, high), window)
            if inside is not None:
                children.setdefault(child, []).append(inside)
    uses: dict[Thing, list[FillingRow]] = {}
    for row in source.fillings(children) if children else ():
        uses.setdefault(row[0], []).append(row)
    # A thing that is never a parent has no fillings: it is material, whatever key it has.
    nodes.update(child for child in children if child not in uses)
    return [(row, window) for child, rows in uses.items() for row in rows for window in children[child]]


def _carrier(thing: Thing, question: Question, source: TraceSource) -> frozenset[Node]:
    uses = sorted(source.fillings({thing}), key=lambda row: row[2])
    if not uses:
        return frozenset({thing})
    if question.at_us is None:
        chosen = uses[-1:]
    else:
        chosen = [row for row in uses if _covers(row, question.at_us)][-1:]
    if not chosen:
        raise NotFound(f"{question.thing} was not in use at that time", rule="no-filling")
    return frozenset(contents([(row, (None, None)) for row in chosen], source))


def _mentioned(iri: str, document: Thing, source: TraceSource) -> set[Node]:
    """The material of the records with this business transaction, carriers in the filling they had then."""
    nodes: set[Node] = set()
    carriers: dict[Thing, set[int]] = {}
    for fact in source.mentions({document}):
        if not any(name == iri for _, name in fact.transactions):
            continue
        for line in fact.lines:
            if line.sort in _MATERIAL:
                nodes.add(line.thing)
            elif line.sort in _CARRIERS:
                carriers.setdefault(line.thing, set()).add(fact.time_us)
    uses = list(source.fillings(carriers)) if carriers else []
    nodes.update(carriers.keys() - {row[0] for row in uses})
    then: list[tuple[FillingRow, Window]] = [
        (row, (at, at)) for row in uses for at in carriers[row[0]] if _covers(row, at)
    ]
    return nodes | contents(then, source)


def _covers(row: FillingRow, at_us: int) -> bool:
    return row[2] <= at_us and (row[3] is None or at_us <= row[3])


__all__ = ["Start", "contents", "start"]
