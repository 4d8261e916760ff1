from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.lineage import Sort
from fabric.trace import Budget, Coverage, Direction, Node, Question, TraceSource, reach, trace
from fabric.trace.memory import memory_source

from .store import Store
from .story import Story, holder_of, lot, serial, sscc

Told = tuple[str, list[str], list[str]]
LOTS = st.sampled_from([lot(name) for name in "ABCD"])
SERIALS = st.sampled_from([serial(name) for name in "ST"])
CARRIERS = st.sampled_from([sscc(1), sscc(2), "https://id.gs1.org/8003/09506000134352X"])
ANYTHING = st.one_of(LOTS, LOTS, SERIALS, CARRIERS)
MATERIAL = st.one_of(LOTS, SERIALS)
PARENTS = st.one_of(CARRIERS, SERIALS)
EVENTS: st.SearchStrategy[Told] = st.one_of(
    st.tuples(
        st.just("turn"),
        st.lists(ANYTHING, min_size=1, max_size=2),
        st.lists(ANYTHING, min_size=1, max_size=2),
    ),
    st.tuples(
        st.just("pack"), st.lists(PARENTS, min_size=1, max_size=1), st.lists(ANYTHING, min_size=1, max_size=2)
    ),
    st.tuples(st.just("unpack"), st.lists(PARENTS, min_size=1, max_size=1), st.lists(ANYTHING, max_size=1)),
    st.tuples(
        st.just("same"), st.lists(LOTS, min_size=1, max_size=1), st.lists(MATERIAL, min_size=1, max_size=1)
    ),
    st.tuples(st.just("see"), st.lists(PARENTS, min_size=1, max_size=1), st.just([])),
)


def told(events: list[Told]) -> Story:
    story = Story()
    for what, ones, others in events:
        if what == "turn":
            story.turn([(name, 1) if "/10/" in name else name for name in ones], others)
        elif what == "pack":
            story.pack(ones[0], *(name for name in others if name != ones[0]))
        elif what == "unpack":
            story.unpack(ones[0], *others)
        elif what == "same":
            if ones != others:
                story.same(ones[0], others[0], f"s{len(story.links)}")
        else:
            story.see("receiving", ones[0])
    return story


def nodes_of(story: Story, source: TraceSource) -> set[Node]:
    """Every lot and serial, and every filling of a carrier."""
    lines = [line for fact in story.facts for line in fact.lines]
    material = {line.thing for line in lines if line.sort in (Sort.LOT, Sort.SERIAL)}
    fillings = source.fillings({line.thing for line in lines} - material)
    linked = {end for told in story.links for end in told.row[:2]}
    return material | linked | {row[1] for row in fillings}


@settings(max_examples=60)
@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_forward_and_backward_are_converse(events: list[Told]) -> None:
    story = told(events)
    nodes = nodes_of(story, story.source())
    # Each walk asks a source of its own, so that nothing it derives was derived for another walk.
    ahead = {node: reach({node}, story.source().neighbours, Direction.FORWARD, Budget()) for node in nodes}
    back = {node: reach({node}, story.source().neighbours, Direction.BACKWARD, Budget()) for node in nodes}
    for one in nodes:
        for other in nodes:
            assert (other in ahead[one].levels) == (one in back[other].levels)
            assert (other in ahead[one].possible) == (one in back[other].possible)


@settings(max_examples=40)
@given(st.lists(EVENTS, min_size=1, max_size=8), st.integers(1, 9))
def test_stored_and_derived_lineage_and_every_tree_size_give_one_answer(
    events: list[Told], size: int
) -> None:
    story = told(events)
    if not story.facts:
        return
    story.void(story.facts[0])
    store = Store(story.facts, holder_of, story.links)
    coverage = Coverage(size, story.time_us)
    early = [fact for fact in story.facts if fact.seq is not None and fact.seq < size]
    for thing in sorted({str(line.thing) for fact in early for line in fact.lines}):
        question = Question(thing, Direction.BOTH)
        links = story.links_for(None, size)
        then = trace(question, memory_source(early, coverage, holder_of, links=links)).as_json()
        assert trace(question, store.source(coverage, below=size)).as_json() == then
        everything = memory_source(story.facts, coverage, holder_of, links=story.links_for(None))
        assert trace(question, store.source(coverage)).as_json() == trace(question, everything).as_json()


@settings(max_examples=40)
@given(st.lists(EVENTS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_capture_changes_no_answer(events: list[Told], shuffle: random.Random) -> None:
    story = told(events)
    things = {line.thing for fact in story.facts for line in fact.lines if line.sort is Sort.LOT}
    before = {thing: story.ask(str(thing), Direction.BOTH).as_json() for thing in things}
    shuffle.shuffle(story.facts)
    story.links = [one._replace(seq=shuffle.randint(0, len(story.facts))) for one in story.links]
    shuffle.shuffle(story.links)
    assert {thing: story.ask(str(thing), Direction.BOTH).as_json() for thing in things} == before
