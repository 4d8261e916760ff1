"""The two options that narrow a trace: stop at a kill step, and follow only what one making place made.

Both wrap the relation that a trace follows; what they leave out is named in the answer. Neither has a budget of
speed: they read the records of each level.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from fabric.lineage.fact import INPUT, OBJECT, OUTPUT
from fabric.lineage.words import site

from .question import Options
from .reach import Direction, Node, Step
from .source import TraceSource


class Narrowed:
    """`Neighbours` of a source under options, for one walk.

    `killed` gives, for each node at which the walk ended, the record (hex) of its kill step.
    """

    def __init__(self, source: TraceSource, start: frozenset[Node], options: Options) -> None:
        self._source = source
        self._start = start
        self._step = options.kill_step
        self._place = options.making_place
        self._elsewhere: frozenset[Node] | None = None
        self.killed: dict[Node, str] = {}

    def __call__(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        """One step, less what the options leave out. Only forward is narrowed."""
        forward = direction is Direction.FORWARD
        if forward and self._step is not None:
            self._look_for_kill(set(nodes) - self._start)
            nodes = [node for node in nodes if node not in self.killed]
        step = self._source.neighbours(nodes, direction, stated=stated)
        if forward and self._place is not None and not self._start.isdisjoint(nodes):
            if self._elsewhere is None:
                self._elsewhere = self._fed_from_elsewhere(self._place)
            step = replace(step, into=step.into - self._elsewhere)
        return step

    def _look_for_kill(self, nodes: set[Node]) -> None:
        """A lot or serial that an event of the kill step handled or put out is not followed further."""
        for fact in self._source.facts(nodes):
            if fact.step == self._step:
                for line in fact.lines:
                    if line.thing in nodes and line.role in (OBJECT, OUTPUT):
                        self.killed[line.thing] = fact.commitment.hex()

    def _fed_from_elsewhere(self, place: str) -> frozenset[Node]:
        """Processes at places to which only other making places sent the start. What cannot be given stays."""
        found: set[Node] = set()
        for node, _, stock, legs, _ in self._source.courses(self._start):
            makers = {site(row[0]) for row in stock if row[2] != "0"}
            roads = [(site(leg[1]), site(leg[2])) for leg in legs if leg[8] != "voided"]
            ours = _reached({site(place)}, roads)
            theirs = _reached(makers - {site(place)}, roads) - ours
            for fact in self._source.facts({node}):
                if site(fact.place) in theirs and any(line.role == INPUT for line in fact.lines):
                    found.add(self._source.process(fact))
        return frozenset(found)


def _reached(places: set[str | None], roads: Iterable[tuple[str | None, str | None]]) -> set[str | None]:
    found, fresh = set(places), set(places)
    while fresh:
        fresh = {end for begin, end in roads if begin in fresh} - found
        found |= fresh
    return found


__all__ = ["Narrowed"]
