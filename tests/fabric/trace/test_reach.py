from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.trace import Budget, Direction, Node, Reach, Step, reach
from ledger.errors import InvalidInput

Edge = tuple[str, str, bool]


class Graph:
    """Edges between names; a name that begins with `p` is a process, one with `c` a class."""

    def __init__(self, edges: Collection[Edge]) -> None:
        self.edges = list(edges)
        self.calls = 0

    def __call__(self, nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        self.calls += 1
        out: set[str] = set()
        inferred = False
        for source, target, guess in self.edges:
            if direction is Direction.BACKWARD:
                source, target = target, source
            if source in nodes and not source.startswith("c") and not (guess and stated):
                out.add(target)
                inferred = inferred or guess
        into = {name for name in out if name.startswith("p")}
        ends = {name for name in out if name.startswith("c")}
        return Step(out - into - ends, into, ends, inferred)


def forward(edges: Collection[Edge], start: str, budget: Budget | None = None) -> Reach:
    return reach({start}, Graph(edges), Direction.FORWARD, budget or Budget())


def test_going_through_a_process_is_one_level() -> None:
    found = forward([("a", "p1", False), ("p1", "b", False), ("b", "d", False)], "a")
    assert found.levels == {"a": 0, "b": 1, "d": 2}
    assert found.processes == {"p1"}


def test_a_cycle_ends_by_itself() -> None:
    edges = [("a", "p1", False), ("p1", "b", False), ("b", "p2", False), ("p2", "a", False)]
    assert forward(edges, "a").levels == {"a": 0, "b": 1}


def test_a_chain_ten_thousand_deep_ends_by_itself() -> None:
    after = {number: number + 1 for number in range(10_000)}

    def chain(nodes: Collection[Node], direction: Direction, *, stated: bool) -> Step:
        return Step({after[node] for node in nodes if node in after}, set())

    found = reach({0}, chain, Direction.FORWARD, Budget())
    assert (len(found.levels), found.levels[10_000], found.exhausted) == (10_001, 10_000, None)


def test_a_hit_is_possible_only_when_every_path_to_it_is_inferred() -> None:
    edges = [("a", "b", True), ("a", "x", False), ("x", "b", False), ("b", "d", False), ("a", "e", True)]
    found = forward(edges, "a")
    assert found.possible == {"e"}
    assert found.levels["b"] == 1


def test_what_follows_a_guess_is_possible_too() -> None:
    assert forward([("a", "b", True), ("b", "d", False)], "a").possible == {"b", "d"}


def test_a_class_is_met_and_never_followed() -> None:
    found = forward([("a", "c1", False), ("c1", "b", False)], "a")
    assert found.levels == {"a": 0}
    assert found.ends == {"c1": 1}


def test_a_level_costs_at_most_two_questions_whatever_its_width() -> None:
    graph = Graph([("a", f"b{number}", False) for number in range(500)])
    reach({"a"}, graph, Direction.FORWARD, Budget())
    assert graph.calls == 2


def test_the_budget_of_nodes_ends_the_walk_and_names_what_was_left() -> None:
    found = forward([("a", "b", False), ("b", "d", False), ("d", "e", False)], "a", Budget(nodes=2))
    assert (found.exhausted, found.frontier) == ("nodes", {"b"})
    assert set(found.levels) == {"a", "b"}


def test_a_walk_that_is_complete_did_not_exhaust_its_budget() -> None:
    assert forward([("a", "b", False)], "a", Budget(nodes=3)).exhausted is None


def test_the_budget_of_time_is_read_from_the_injected_clock() -> None:
    ticks: Iterator[int] = count()
    budget = Budget(nodes=None, time_s=3, clock=lambda: float(next(ticks)))
    found = forward([(f"n{number}", f"n{number + 1}", False) for number in range(50)], "n0", budget)
    assert found.exhausted == "time"
    assert 1 < len(found.levels) < 6


@pytest.mark.parametrize(("nodes", "seconds"), [(0, 1.0), (-1, 1.0), (1, 0.0)])
def test_a_budget_of_nothing_is_refused(nodes: int, seconds: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        Budget(nodes=nodes, time_s=seconds)
    assert refused.value.rule == "bad-budget"


def test_a_closed_node_is_reached_and_not_followed() -> None:
    graph = Graph([("a", "b", False), ("b", "d", False)])
    assert reach({"a"}, graph, Direction.FORWARD, Budget(), closed={"b"}).levels == {"a": 0, "b": 1}


NAMES = st.sampled_from(["a", "b", "d", "e", "p1", "p2", "p3"])
# A process has things on both sides, never another process.
EDGES = st.lists(
    st.tuples(NAMES, NAMES, st.booleans()).filter(lambda edge: not (edge[0][0] == edge[1][0] == "p")),
    max_size=14,
)


@given(EDGES)
def test_forward_and_backward_are_converse(edges: list[Edge]) -> None:
    graph = Graph(edges)
    for one in "abde":
        ahead = reach({one}, graph, Direction.FORWARD, Budget())
        for other in "abde":
            back = reach({other}, graph, Direction.BACKWARD, Budget())
            assert (other in ahead.levels) == (one in back.levels)
            assert (other in ahead.possible) == (one in back.possible)


@given(EDGES)
def test_without_guesses_nothing_is_possible_only(edges: list[Edge]) -> None:
    found = forward([(source, target, False) for source, target, _ in edges], "a")
    assert found.possible == frozenset()
