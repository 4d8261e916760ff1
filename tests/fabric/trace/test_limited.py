from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.trace import Direction
from fabric.trace.document import bucket
from ledger.errors import NotFound

from .story import Story, affected, lot, section, sscc


def relay() -> Story:
    """A becomes B at the packer, B becomes C at the shop; C is packed."""
    story = Story()
    story.make((lot("A"), 10))
    story.turn([(lot("A"), 5)], [(lot("B"), 5)])
    story.turn([(lot("B"), 5)], [(lot("C"), 5)], at="shop")
    story.pack(sscc(1), (lot("C"), 5), at="shop")
    return story


def test_a_limited_trace_walks_only_visible_records_and_says_where_it_goes_on() -> None:
    story = relay()
    answer = story.ask(lot("A"), hidden=story.facts[2:])
    assert affected(answer) == {lot("A"), lot("B")}
    goes_on = {row["thing"]: row["continues"] for row in section(answer, "affected")}
    assert goes_on == {lot("A"): False, lot("B"): True}
    assert answer.as_json()["hidden"] == "1-9"
    assert {"thing": lot("B"), "reason": "hidden"}.items() <= section(answer, "stops")[0].items()


def test_a_reader_who_sees_everything_is_told_that_nothing_is_hidden() -> None:
    answer = relay().ask(lot("A"))
    assert {row["continues"] for row in section(answer, "affected")} == {None}
    assert answer.as_json()["hidden"] == "none"


def test_no_quantity_is_summed_over_hidden_rows() -> None:
    story = relay()
    shown = section(story.ask(lot("A"), hidden=[story.facts[1]]), "quantities")
    assert [(row["thing"], row["made"], row["used"]) for row in shown] == [(lot("A"), "10", "0")]


def test_hidden_and_unknown_things_are_refused_in_the_same_words() -> None:
    story = relay()
    refusals = []
    for thing in (lot("C"), lot("Z"), sscc(1), sscc(9)):
        with pytest.raises(NotFound) as refused:
            story.ask(thing, hidden=story.facts[2:])
        refusals.append(
            (refused.value.rule, refused.value.message.replace(thing, ""), refused.value.findings)
        )
    assert len(set(refusals)) == 1


@pytest.mark.parametrize(
    ("count", "name"),
    [(0, "none"), (1, "1-9"), (9, "1-9"), (10, "10-99"), (99, "10-99"), (100, "100+"), (9999, "100+")],
)
def test_the_bucket_tells_no_more_than_an_order_of_magnitude(count: int, name: str) -> None:
    assert bucket(count) == name


@settings(max_examples=60)
@given(st.sets(st.integers(0, 7)), st.sampled_from("ABCDE"))
def test_a_limited_answer_is_that_of_a_ledger_without_the_hidden_records(
    hidden: set[int], asked: str
) -> None:
    story = relay()
    story.unpack(sscc(1), at="shop")
    story.pack(sscc(1), (lot("A"), 1), (lot("D"), 1))
    story.ship(sscc(1), to="shop")
    story.turn([sscc(1)], [(lot("E"), 1)], at="shop")
    gone = [fact for number, fact in enumerate(story.facts) if number in hidden]
    alone = Story()
    alone.facts, alone.time_us = [fact for fact in story.facts if fact not in gone], story.time_us
    try:
        limited = story.ask(lot(asked), Direction.BOTH, hidden=gone).as_json()
    except NotFound as refused:
        with pytest.raises(NotFound, match=refused.message):
            alone.ask(lot(asked), Direction.BOTH)
        return
    full = alone.ask(lot(asked), Direction.BOTH).as_json()
    for name in ("carriers", "events", "quantities", "handovers", "contradictions"):
        assert limited[name] == full[name]
    rows, others = limited["affected"], full["affected"]
    assert isinstance(rows, list)
    assert isinstance(others, list)
    assert [{**row, "continues": None} for row in rows] == others
