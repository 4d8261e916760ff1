"""Reach: which nodes follow from a start, level by level, and by how sure a path.

A node is a lot, a serial or a filling; processes lie between them and are never members of the answer. The
relation itself is somebody else's (`Neighbours`): a query over tables, or a dictionary. Everything here is
set operations over whole levels, so a cycle ends by itself and no node costs a query.

    found = reach({"lot"}, neighbours, Direction.FORWARD, Budget())
    found.levels["lot"]  # 0
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from ledger.errors import InvalidInput

Node: TypeAlias = Hashable
"""A lot, serial, filling, class or process; only equal to itself, otherwise opaque."""


class Direction(StrEnum):
    """Which way a trace goes."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"

    @property
    def single(self) -> tuple[Direction, ...]:
        """The one or two ways in which this direction walks."""
        return (Direction.FORWARD, Direction.BACKWARD) if self is Direction.BOTH else (self,)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step from a set of nodes comes to.

    `onto` are things and fillings, `into` are processes, `ends` are things that are listed and never followed
    (classes without a lot). `inferred` tells whether any relation used was inferred.
    """

    onto: AbstractSet[Node]
    into: AbstractSet[Node]
    ends: AbstractSet[Node] = frozenset()
    inferred: bool = False


class Neighbours(Protocol):
    """The relation that a trace follows.

    One call answers for a whole set; a node it does not know has no neighbours. With `stated` only stated
    relations count. The answer does not change between the calls of one trace.
    """

    def __call__(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        """One step from all of the nodes, processes as well as things."""


def _never() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a trace gives up: members found, and seconds by an injected monotonic clock. None = no limit.

    It is read between levels: a level that was begun is finished. Without a clock time stands still.
    """

    nodes: int | None = 1_000_000
    time_s: float | None = 30.0
    clock: Callable[[], float] = _never

    def __post_init__(self) -> None:
        if (self.nodes is not None and self.nodes < 1) or (self.time_s is not None and self.time_s <= 0):
            raise InvalidInput(
                "expected a budget of at least one node and more than 0 seconds", rule="bad-budget"
            )


@dataclass(frozen=True, slots=True)
class Reach:
    """What was reached: the level of each node, which of them only by guesses, where and why it ended.

    `ends` maps each thing that is never followed to the level at which it was met. `exhausted` is `nodes` or
    `time` when the budget ended the walk, and `frontier` the nodes that were then still to be followed.
    """

    levels: Mapping[Node, int]
    possible: AbstractSet[Node]
    ends: Mapping[Node, int]
    processes: AbstractSet[Node]
    exhausted: str | None = None
    frontier: AbstractSet[Node] = frozenset()


@dataclass(slots=True)
class _Walk:
    """One breadth-first walk; the deadline is shared by the walks of one trace."""

    neighbours: Neighbours
    direction: Direction
    budget: Budget
    deadline: float | None
    stated: bool

    def run(self, start: AbstractSet[Node], closed: AbstractSet[Node]) -> tuple[Reach, bool]:
        """Walk to the end or to the budget; also tell whether an inferred relation was used."""
        levels: dict[Node, int] = dict.fromkeys(start, 0)
        ends: dict[Node, int] = {}
        processes: set[Node] = set()
        frontier: set[Node] = set(start)
        guessed, level, exhausted = False, 0, self._over(len(levels))
        while frontier and exhausted is None:
            level += 1
            step = self.neighbours(frontier, self.direction, stated=self.stated)
            found, met, guessed = set(step.onto), set(step.ends), guessed or step.inferred
            entered = step.into - processes
            if entered:
                processes |= entered
                step = self.neighbours(entered, self.direction, stated=self.stated)
                found |= step.onto
                met |= step.ends
                guessed = guessed or step.inferred
            found.difference_update(levels)
            frontier = found - closed
            levels.update(dict.fromkeys(found, level))
            for end in met:
                ends.setdefault(end, level)
            exhausted = self._over(len(levels)) if frontier else None
        return Reach(levels, frozenset(), ends, processes, exhausted, frozenset(frontier)), guessed

    def _over(self, count: int) -> str | None:
        if self.budget.nodes is not None and count >= self.budget.nodes:
            return "nodes"
        if self.deadline is not None and self.budget.clock() >= self.deadline:
            return "time"
        return None


def reach(
    start: AbstractSet[Node],
    neighbours: Neighbours,
    direction: Direction,
    budget: Budget,
    *,
    closed: AbstractSet[Node] = frozenset(),
) -> Reach:
    """The least set that contains `start` and with each node its neighbours (design: meaning, section 3).

    `direction` is forward or backward. Nodes of `closed` are reached but not followed. The second walk, over
    stated relations alone, runs only when the first one met an inferred relation; when the budget ends it, what
    it did not confirm stays `possible`: less is claimed, nothing is lost.
    """
    if direction is Direction.BOTH:
        raise InvalidInput("expected forward or backward, got both: walk twice", rule="bad-direction")
    deadline = None if budget.time_s is None else budget.clock() + budget.time_s
    found, guessed = _Walk(neighbours, direction, budget, deadline, stated=False).run(start, closed)
    if not guessed:
        return found
    sure, _ = _Walk(neighbours, direction, budget, deadline, stated=True).run(start, closed)
    return Reach(
        found.levels,
        found.levels.keys() - sure.levels.keys(),
        found.ends,
        found.processes,
        found.exhausted or sure.exhausted,
        found.frontier if found.exhausted else sure.frontier,
    )
