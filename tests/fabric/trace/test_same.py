"""A `same` link joins two names in both directions, marked with its statement, for who may see it."""

from __future__ import annotations

from fabric.trace import Direction

from .story import Story, lot, section, serial

CODE = "urn:example:partner:4711"


def relabelled() -> Story:
    """Lot A was relabelled as B, which went into C; B is known to the partner as a code of its own."""
    story = Story()
    story.make((lot("A"), 5))
    story.make((lot("B"), 5), at="packer")
    story.turn([(lot("B"), 5)], [(lot("C"), 5)])
    return story


def test_without_a_link_nothing_joins_two_names() -> None:
    assert relabelled().forward(lot("A")) == {lot("A")}


def test_a_link_is_followed_in_both_directions() -> None:
    story = relabelled()
    story.same(lot("A"), lot("B"))
    for start in (lot("A"), lot("B")):
        assert story.forward(start) == {lot("A"), lot("B"), lot("C")}
        assert story.backward(start) == {lot("A"), lot("B")}
    assert story.backward(lot("C")) == {lot("A"), lot("B"), lot("C")}


def test_what_a_link_touches_is_marked_with_its_statement_and_stated() -> None:
    story = relabelled()
    story.same(lot("A"), lot("B"), "s1")
    story.same(lot("A"), lot("B"), "s2")
    found = {hit["thing"]: hit for hit in section(story.ask(lot("A")), "affected")}
    assert {thing: hit["links"] for thing, hit in found.items()} == {
        lot("A"): ["s1", "s2"],
        lot("B"): ["s1", "s2"],
        lot("C"): [],
    }
    assert {hit["strength"] for hit in found.values()} == {"stated"}
    assert [found[lot(name)]["level"] for name in "ABC"] == [0, 1, 2]


def test_links_are_followed_one_after_the_other_to_their_end() -> None:
    story = relabelled()
    story.same(lot("A"), CODE, "s1")
    story.same(CODE, lot("B"), "s2")
    assert story.forward(lot("A")) == {lot("A"), CODE, lot("B"), lot("C")}
    assert story.backward(lot("C")) == {lot("A"), CODE, lot("B"), lot("C")}


def test_a_name_that_only_a_link_gives_can_be_asked_for_by_who_sees_everything() -> None:
    story = relabelled()
    story.same(lot("B"), CODE)
    (code,) = [hit for hit in section(story.ask(CODE), "affected") if hit["thing"] == CODE]
    assert (code["kind"], code["links"], code["holder"]["state"]) == ("serial", ["s1"], "unknown")
    assert story.forward(CODE) == {CODE, lot("B"), lot("C")}


def test_a_serial_of_a_linked_lot_is_reached() -> None:
    story = relabelled()
    story.make(serial("S"), at="packer", ilmd={"cbvmda:lotNumber": "B"})
    story.same(lot("A"), lot("B"))
    direct = story.forward(lot("B"))
    assert story.forward(lot("A")) == direct


def test_a_limited_reader_does_not_follow_a_link_that_it_may_not_see() -> None:
    story = relabelled()
    story.same(lot("A"), lot("B"), shown=False)
    answer = story.ask(lot("A"), hidden=[])
    assert [(hit["thing"], hit["links"]) for hit in section(answer, "affected")] == [(lot("A"), [])]


def test_a_limited_reader_follows_a_link_that_it_may_see() -> None:
    story = relabelled()
    story.same(lot("A"), lot("B"))
    assert story.forward(lot("A"), hidden=[]) == {lot("A"), lot("B"), lot("C")}


def test_a_link_shows_nobody_a_thing_that_was_hidden() -> None:
    story = relabelled()
    story.same(lot("A"), lot("B"))
    hidden = [fact for fact in story.facts if lot("B") in {line.thing for line in fact.lines}]
    answer = story.ask(lot("A"), Direction.BOTH, hidden=hidden)
    assert [(hit["thing"], hit["links"]) for hit in section(answer, "affected")] == [(lot("A"), [])]
    assert answer.as_json()["hidden"] == "none"
