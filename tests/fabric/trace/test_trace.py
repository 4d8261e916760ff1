from __future__ import annotations

import pytest

from fabric.epcis.event import Role
from fabric.trace import Direction
from ledger.errors import InvalidInput, NotFound

from .story import DAY_US, GTIN, HOUR_US, Story, affected, lot, place, section, serial, sscc


def test_a_lot_reaches_the_outputs_of_every_process_it_is_an_input_of() -> None:
    story = Story()
    story.make((lot("A"), 10), (lot("B"), 10))
    story.turn([(lot("A"), 5), (lot("B"), 1)], [(lot("C"), 6)])
    story.turn([(lot("A"), 5)], [(lot("D"), 5)])
    story.turn([(lot("C"), 6)], [(lot("E"), 6)])
    assert story.forward(lot("A")) == {lot(name) for name in "ACDE"}
    assert story.backward(lot("E")) == {lot(name) for name in "ABCE"}


def test_levels_count_steps_and_a_process_is_one() -> None:
    story = Story()
    story.turn([(lot("A"), 1)], [(lot("B"), 1)])
    story.turn([(lot("B"), 1)], [(lot("C"), 1)])
    assert {hit.thing: hit.level for hit in story.ask(lot("A")).hits()} == {
        lot("A"): 0,
        lot("B"): 1,
        lot("C"): 2,
    }


def test_both_says_which_direction_reaches_each_member() -> None:
    story = Story()
    story.turn([(lot("A"), 1)], [(lot("B"), 1)])
    story.turn([(lot("B"), 1)], [(lot("C"), 1)])
    found = {hit.thing: hit.directions for hit in story.ask(lot("B"), Direction.BOTH).hits()}
    assert found == {lot("A"): ("backward",), lot("B"): ("forward", "backward"), lot("C"): ("forward",)}


def test_events_of_one_member_with_one_transformation_id_are_one_process() -> None:
    story = Story()
    story.turn([(lot("A"), 1)], [], transformation_id="urn:run:1")
    story.turn([], [(lot("B"), 1)], transformation_id="urn:run:1")
    story.turn([], [(lot("C"), 1)], at="shop", transformation_id="urn:run:1")
    assert story.forward(lot("A")) == {lot("A"), lot("B")}


def test_all_serials_of_a_lot_are_affected() -> None:
    story = Story()
    story.make(f"{GTIN}/10/L1/21/S1")
    story.make(serial("S2"), ilmd={"cbvmda:lotNumber": "L1"})
    story.make(serial("S3"))
    assert story.forward(lot("L1")) == {lot("L1"), serial("S1"), serial("S2")}
    assert story.backward(serial("S1")) == {lot("L1"), serial("S1")}


def test_a_serial_reaches_what_it_contained_by_aggregation() -> None:
    story = Story()
    story.pack(serial("BOX"), serial("S1"), (lot("L1"), 3))
    story.unpack(serial("BOX"))
    story.pack(serial("BOX"), serial("S2"))
    assert story.forward(serial("BOX")) == {serial("BOX"), serial("S1"), serial("S2"), lot("L1")}


def test_a_carrier_is_reported_and_its_other_contents_and_uses_are_not_reached() -> None:
    story = Story()
    story.make((lot("A"), 10), (lot("B"), 10))
    begun = story.pack(sscc(1), (lot("A"), 4), (lot("B"), 4))
    done = story.unpack(sscc(1))
    story.pack(sscc(1), (lot("C"), 4))
    answer = story.ask(lot("A"))
    assert affected(answer) == {lot("A")}
    assert [(row["carrier"], row["thing"], row["inferred"]) for row in section(answer, "carriers")] == [
        (sscc(1), lot("A"), False)
    ]
    held = answer.held[0]
    assert (held.from_us, held.until_us) == (begun.time_us, done.time_us)


def test_a_pallet_that_held_the_case_held_the_lot() -> None:
    story = Story()
    story.pack(sscc(1), (lot("A"), 4))
    story.pack(sscc(2), sscc(1))
    assert {row["carrier"] for row in section(story.ask(lot("A")), "carriers")} == {sscc(1), sscc(2)}


def test_a_filling_left_open_for_a_year_goes_on_only_as_inferred() -> None:
    story = Story()
    story.pack(sscc(1), (lot("A"), 4))
    assert [row["inferred"] for row in section(story.ask(lot("A")), "carriers")] == [False]
    later = story.ask(lot("A"), later_us=366 * DAY_US)
    assert [row["inferred"] for row in section(later, "carriers")] == [True]


def test_a_carrier_that_goes_into_a_process_stands_for_its_filling_and_contents() -> None:
    story = Story()
    story.pack(sscc(1), (lot("A"), 4))
    story.turn([sscc(1)], [(lot("B"), 4)])
    assert story.forward(lot("A")) == {lot("A"), lot("B")}
    assert story.backward(lot("B")) == {lot("A"), lot("B"), sscc(1)}


def test_a_filling_that_a_process_put_out_reaches_what_it_contained() -> None:
    story = Story()
    story.turn([(lot("A"), 4)], [sscc(1)])
    story.pack(sscc(1), (lot("B"), 4))
    answer = story.ask(lot("A"))
    kinds = {hit.thing: hit.kind for hit in answer.hits()}
    assert kinds == {lot("A"): "lot", lot("B"): "lot", sscc(1): "filling"}
    assert section(answer, "carriers") == []
    assert story.backward(lot("B")) == {lot("A"), lot("B"), sscc(1)}


def test_a_carrier_stands_for_its_latest_filling_or_the_one_at_a_time() -> None:
    story = Story()
    first = story.pack(sscc(1), (lot("A"), 4))
    story.unpack(sscc(1), later_us=DAY_US)
    story.pack(sscc(1), (lot("B"), 4), later_us=2 * DAY_US)
    assert story.forward(sscc(1)) == {sscc(1), lot("B")}
    assert story.forward(sscc(1), at_us=first.time_us + HOUR_US) == {sscc(1), lot("A")}
    assert {hit.level for hit in story.ask(sscc(1)).hits()} == {0}


def test_a_carrier_at_a_time_when_it_was_empty_is_told_apart_from_an_unknown_one() -> None:
    story = Story()
    story.pack(sscc(1), (lot("A"), 4))
    with pytest.raises(NotFound) as refused:
        story.ask(sscc(1), at_us=story.time_us - DAY_US)
    assert refused.value.rule == "no-filling"


def test_contents_of_carriers_inside_a_carrier_belong_to_it() -> None:
    story = Story()
    story.pack(sscc(1), (lot("A"), 4))
    story.pack(sscc(2), sscc(1), (lot("B"), 1))
    assert story.forward(sscc(2)) == {sscc(1), sscc(2), lot("A"), lot("B")}


def test_what_left_the_inner_carrier_before_it_was_packed_was_never_in_the_outer_one() -> None:
    story = Story()
    story.pack(sscc(1), (lot("A"), 4), (lot("B"), 4))
    story.unpack(sscc(1), (lot("A"), 4))
    story.pack(sscc(2), sscc(1))
    assert story.forward(sscc(2)) == {sscc(1), sscc(2), lot("B")}


def test_backward_from_a_carrier_begins_at_its_contents() -> None:
    story = Story()
    story.turn([(lot("A"), 4)], [(lot("B"), 4)])
    story.pack(sscc(1), (lot("B"), 4))
    assert story.backward(sscc(1)) == {sscc(1), lot("A"), lot("B")}


def test_a_document_stands_for_the_material_of_the_records_that_mention_it() -> None:
    story = Story()
    story.turn([(lot("A"), 4)], [(lot("B"), 4)])
    story.pack(sscc(1), (lot("C"), 4))
    mention = (Role.MENTION, "urn:epcglobal:cbv:bt:9506000134352:D1")
    objects = [(Role.OBJECT, lot("A")), (Role.OBJECT, sscc(1)), mention]
    story.tell("ObjectEvent", "OBSERVE", "shipping", "packer", objects, to="shop", documents=[mention[1]])
    assert story.forward(mention[1]) == {lot("A"), lot("B"), lot("C"), sscc(1)}


def test_time_is_not_obeyed_between_lots() -> None:
    story = Story()
    story.turn([(lot("B"), 1)], [(lot("C"), 1)])
    story.turn([(lot("A"), 1)], [(lot("B"), 1)])
    assert story.forward(lot("A")) == {lot("A"), lot("B"), lot("C")}


def test_a_class_without_lot_is_listed_and_never_followed() -> None:
    story = Story()
    story.turn([(lot("A"), 1)], [(GTIN, 5), (lot("B"), 1)])
    story.turn([(GTIN, 5)], [(lot("C"), 1)])
    answer = story.ask(lot("A"))
    assert affected(answer) == {lot("A"), lot("B")}
    assert section(answer, "stops") == [
        {"thing": GTIN, "reason": "class-without-lot", "detail": "met at level 1"}
    ]
    assert section(story.ask(GTIN), "affected") == []


def test_a_rework_loop_ends_by_itself() -> None:
    story = Story()
    story.turn([(lot("A"), 5)], [(lot("B"), 5)])
    story.turn([(lot("B"), 1)], [(lot("A"), 1)])
    assert story.forward(lot("A")) == story.forward(lot("B")) == {lot("A"), lot("B")}


def test_a_voided_record_stops_the_trace_and_is_shown() -> None:
    story = Story()
    story.make((lot("A"), 1))
    wrong = story.turn([(lot("A"), 1)], [(lot("B"), 1)])
    declaration = story.void(wrong)
    answer = story.ask(lot("A"))
    assert affected(answer) == {lot("A")}
    stop = {"thing": lot("A"), "reason": "voided-record", "detail": wrong.commitment.hex()}
    assert section(answer, "stops") == [stop]
    shown = [row for row in section(answer, "events") if row["record"] == wrong.commitment.hex()]
    assert [row["voided"] for row in shown] == [declaration.commitment.hex()]


def test_a_copy_by_another_member_goes_on_counting_after_the_author_voided_it() -> None:
    story = Story()
    wrong = story.turn([(lot("A"), 1)], [(lot("B"), 1)], event_id="urn:e:1")
    story.turn([(lot("A"), 1)], [(lot("B"), 1)], by="carrier", event_id="urn:e:1", time_us=wrong.time_us)
    story.void(wrong)
    answer = story.ask(lot("A"))
    assert affected(answer) == {lot("A"), lot("B")}
    assert [row["kind"] for row in section(answer, "contradictions")] == ["voided-by-author-only"]


def test_a_declaration_by_another_member_changes_nothing() -> None:
    story = Story()
    right = story.turn([(lot("A"), 1)], [(lot("B"), 1)])
    story.tell(
        "TransformationEvent", None, None, None, [], by="rival", event_id=right.event_id, declares=True
    )
    assert story.forward(lot("A")) == {lot("A"), lot("B")}


def test_what_only_an_inferred_containment_reaches_is_possible() -> None:
    story = Story()
    story.tell(
        "AggregationEvent",
        "OBSERVE",
        "inspecting",
        "packer",
        [(Role.PARENT, sscc(1)), (Role.CHILD, (lot("A"), 4))],
    )
    story.turn([sscc(1)], [(lot("B"), 4)])
    answer = story.ask(lot("A"))
    assert {hit.thing: hit.possible for hit in answer.hits()} == {lot("A"): False, lot("B"): True}
    coverage = answer.as_json()["coverage"]
    assert isinstance(coverage, dict)
    assert coverage["inferred"] == 1


def test_events_are_those_of_the_thing_and_of_its_carriers_while_it_was_inside() -> None:
    story = Story()
    made = story.make((lot("A"), 4))
    packed = story.pack(sscc(1), (lot("A"), 4))
    shipped = story.ship(sscc(1))
    received = story.receive(sscc(1))
    unpacked = story.unpack(sscc(1), at="shop")
    story.see("storing", sscc(1), at="shop", later_us=3 * DAY_US)
    rows = section(story.ask(lot("A")), "events")
    told = [made, packed, shipped, received, unpacked]
    assert sorted(row["record"] for row in rows) == sorted(fact.commitment.hex() for fact in told)
    assert {tuple(row["things"]) for row in rows} == {(lot("A"),)}


def test_relayed_copies_are_one_event() -> None:
    story = Story()
    made = story.make((lot("A"), 4), event_id="urn:e:1")
    copy = story.make((lot("A"), 4), by="carrier", event_id="urn:e:1", time_us=made.time_us)
    rows = section(story.ask(lot("A")), "events")
    assert len(rows) == 1
    assert {rows[0]["record"], *rows[0]["copies"]} == {made.commitment.hex(), copy.commitment.hex()}


def test_an_unknown_thing_is_not_found() -> None:
    with pytest.raises(NotFound):
        Story().ask(lot("A"))


def test_a_place_cannot_be_traced() -> None:
    story = Story()
    story.make((lot("A"), 1), at="farm")
    story.tell(
        "ObjectEvent", "OBSERVE", "storing", "farm", [(Role.OBJECT, lot("A")), (Role.MENTION, place("farm"))]
    )
    with pytest.raises(InvalidInput):
        story.ask(place("farm"))


def test_the_answer_is_the_same_document_whatever_the_order_of_capture() -> None:
    story = Story()
    story.make((lot("A"), 10))
    story.pack(sscc(1), (lot("A"), 4))
    story.ship(sscc(1))
    story.turn([(lot("A"), 5)], [(lot("B"), 5)])
    first = story.ask(lot("A"), Direction.BOTH).as_json()
    story.facts.reverse()
    assert story.ask(lot("A"), Direction.BOTH).as_json() == first
