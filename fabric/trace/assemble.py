"""From a question and a source to an answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from .answer import State, Trace, leaves, state_of
from .balance import Scales, Weights
from .narrowing import Narrowed
from .question import Question
from .reach import Direction, Node, Reach, reach
from .source import TraceSource
from .start import start


def trace(question: Question, source: TraceSource) -> Trace:
    """What is affected by a thing, or contributed to it, with holders and balances (design: meaning, section 3).

    Raises what `start` raises. The number of queries depends on the number of levels
    and on nothing else.
    """
    begin = start(question, source)
    walks: dict[Direction, Reach] = {}
    killed: dict[Node, str] = {}
    for direction in question.direction.single:
        neighbours = Narrowed(source, begin.nodes, question.options)
        found = reach(begin.nodes, neighbours, direction, question.budget)
        killed.update(neighbours.killed)
        ends = {**found.ends, **dict.fromkeys(begin.ends, 0)}
        walks[direction] = replace(found, ends=ends)
    nodes = set().union(*(walk.levels for walk in walks.values()))
    things = {row[0]: row for row in source.things(nodes)}
    states: dict[Node, State] = {}
    balances: dict[tuple[Node, str | None], Weights] = {}
    scales = Scales(source.coverage.time_us, partial(leaves, source))
    for course in source.courses(nodes):
        node = course[0]
        state = state_of(source, course)
        if state is not None:
            states[node] = state
        if things[node][3] == "lot":
            for unit, weights in scales.weigh(course[2], course[3]):
                balances[node, unit] = weights
    return Trace(question, source.coverage, walks, things, states, balances, killed, source)


__all__ = ["trace"]
