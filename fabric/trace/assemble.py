"""From a question and a source to an answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from .answer import Trace, leaves
from .balance import balances
from .question import Question
from .reach import Direction, Reach, reach
from .source import TraceSource
from .start import start


def trace(question: Question, source: TraceSource) -> Trace:
    """What is affected by a thing, or contributed to it, with holders and balances (design: meaning, section 3).

    Raises what `start` raises. The number of queries depends on the number of levels
    and on nothing else.
    """
    begin = start(question, source)
    walks: dict[Direction, Reach] = {}
    for direction in question.direction.single:
        found = reach(begin.nodes, source.neighbours, direction, question.budget)
        ends = {**found.ends, **dict.fromkeys(begin.ends, 0)}
        walks[direction] = replace(found, ends=ends)
    nodes = set().union(*(walk.levels for walk in walks.values()))
    things = {row[0]: row for row in source.things(nodes)}
    courses = {row[0]: row for row in source.courses(nodes)}
    lots = ((row[0], row[2], row[3]) for row in courses.values() if things[row[0]][3] == "lot")
    found_balances = balances(lots, source.coverage.time_us, partial(leaves, source))
    return Trace(question, source.coverage, walks, things, courses, found_balances, source)


__all__ = ["trace"]
