from __future__ import annotations

from typing import Any

from fabric.trace import Trace

from .story import DAY_US, HOUR_US, Story, lot, place, section, sscc


def holder(answer: Trace, thing: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        row["holder"] for row in section(answer, "affected") if row["thing"] == thing
    )
    return found


def amounts(answer: Trace, thing: str, *names: str) -> list[Any]:
    row = next(row for row in section(answer, "quantities") if row["thing"] == thing)
    return [row[name] for name in names]


def test_a_dispatch_pairs_with_the_receipt_of_the_same_carrier_as_stated() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.pack(sscc(1), (lot("A"), 10))
    sent, got = story.ship(sscc(1)), story.receive(sscc(1))
    legs = section(story.ask(lot("A")), "handovers")
    assert len(legs) == 1
    assert {name: legs[0][name] for name in ("things", "carrier", "to", "state", "strength")} == {
        "things": [lot("A")],
        "carrier": sscc(1),
        "to": place("shop"),
        "state": "received",
        "strength": "stated",
    }
    assert legs[0]["records"] == [sent.commitment.hex(), got.commitment.hex()]


def test_a_pair_by_place_alone_is_possible() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.ship((lot("A"), 10))
    story.receive((lot("A"), 10))
    assert [leg["strength"] for leg in section(story.ask(lot("A")), "handovers")] == ["possible"]


def test_until_received_a_thing_is_in_transit_and_its_holder_is_the_sender() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    sent = story.ship((lot("A"), 10))
    found = holder(story.ask(lot("A")), lot("A"))
    assert (found["state"], found["member"], found["place"]) == ("in_transit", "packer", place("packer"))
    assert found["record"] == sent.commitment.hex()


def test_the_holder_is_the_member_of_the_place_of_the_last_event() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.ship((lot("A"), 10))
    story.receive((lot("A"), 10))
    found = holder(story.ask(lot("A")), lot("A"))
    assert (found["state"], found["member"], found["place"], found["party"]) == (
        "held",
        "shop",
        place("shop"),
        None,
    )


def test_a_place_that_no_member_holds_has_an_unknown_member() -> None:
    story = Story()
    story.make((lot("A"), 10), at="abroad")
    found = holder(story.ask(lot("A")), lot("A"))
    assert (found["state"], found["member"], found["place"]) == ("held", None, place("abroad"))


def test_a_destination_outside_the_ledger_ends_the_trace_there_by_name() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.ship((lot("A"), 4), to="abroad")
    answer = story.ask(lot("A"), later_us=20 * DAY_US)
    found = holder(answer, lot("A"))
    assert (found["state"], found["place"], found["member"]) == ("outside", place("abroad"), None)
    assert section(answer, "stops") == [{"thing": lot("A"), "reason": "outside", "detail": place("abroad")}]
    assert [leg["state"] for leg in section(answer, "handovers")] == ["outside"]
    assert amounts(answer, lot("A"), "outside", "in_transit", "unaccounted") == ["4", "0", "0"]


def test_void_shipping_takes_a_dispatch_back() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.ship((lot("A"), 10))
    story.see("void_shipping", (lot("A"), 10))
    answer = story.ask(lot("A"))
    assert [leg["state"] for leg in section(answer, "handovers")] == ["voided"]
    assert amounts(answer, lot("A"), "on_hand", "in_transit", "open_handovers") == ["10", "0", 0]


def test_a_sold_out_lot_has_ended() -> None:
    story = Story()
    story.make((lot("A"), 10), at="shop")
    story.see("retail_selling", (lot("A"), 10), at="shop")
    assert holder(story.ask(lot("A")), lot("A"))["state"] == "ended"


def test_amounts_of_a_lot_per_unit_and_place() -> None:
    story = Story()
    story.make((lot("A"), "10.5", "KGM"), at="packer")
    story.turn([(lot("A"), "2.5", "KGM")], [(lot("B"), 2, "KGM")])
    story.ship((lot("A"), 5, "KGM"))
    story.receive((lot("A"), 5, "KGM"))
    story.see("retail_selling", (lot("A"), 1, "KGM"), at="shop")
    story.see("destroying", (lot("A"), "0.5", "KGM"), at="shop")
    answer = story.ask(lot("A"))
    names = ("unit", "made", "on_hand", "in_transit", "used", "sold", "destroyed", "unaccounted", "surplus")
    assert amounts(answer, lot("A"), *names) == ["KGM", "10.5", "6.5", "0", "2.5", "1", "0.5", "0", "0"]
    rows = amounts(answer, lot("A"), "places")[0]
    assert [
        (row["place"], row["made"], row["received"], row["dispatched"], row["on_hand"]) for row in rows
    ] == [
        (place("packer"), "10.5", "0", "5", "3"),
        (place("shop"), "0", "5", "0", "3.5"),
    ]


def test_a_dispatch_is_unaccounted_for_after_fourteen_days_at_the_time_of_the_last_seal() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.ship((lot("A"), 4))
    young = story.ask(lot("A"), later_us=14 * DAY_US)
    assert amounts(young, lot("A"), "in_transit", "unaccounted", "open_handovers") == ["4", "0", 1]
    old = story.ask(lot("A"), later_us=14 * DAY_US + HOUR_US)
    assert amounts(old, lot("A"), "in_transit", "unaccounted", "open_handovers") == ["0", "4", 1]


def test_shortfall_and_surplus_are_two_numbers() -> None:
    story = Story()
    story.make((lot("A"), 20), at="packer")
    story.ship((lot("A"), 5), documents=["urn:d:1"])
    story.receive((lot("A"), 3), documents=["urn:d:1"])
    story.ship((lot("A"), 5), to="cafe", documents=["urn:d:2"])
    story.receive((lot("A"), 9), at="cafe", documents=["urn:d:2"])
    assert amounts(story.ask(lot("A")), lot("A"), "unaccounted", "surplus") == ["2", "4"]


def test_rows_without_quantity_are_counted_and_add_nothing() -> None:
    story = Story()
    story.make(lot("A"), at="packer")
    answer = story.ask(lot("A"))
    assert amounts(answer, lot("A"), "made", "without_quantity") == ["0", 1]


def test_a_relayed_copy_changes_no_quantity() -> None:
    story = Story()
    made = story.make((lot("A"), 10), at="packer", event_id="urn:e:1")
    before = section(story.ask(lot("A")), "quantities")
    story.make((lot("A"), 10), at="packer", by="carrier", event_id="urn:e:1", time_us=made.time_us)
    assert section(story.ask(lot("A")), "quantities") == before


def test_a_member_acting_on_what_it_never_had_is_marked_and_followed() -> None:
    story = Story()
    story.make((lot("A"), 10), at="packer")
    story.turn([(lot("A"), 1)], [(lot("B"), 1)], at="rival")
    answer = story.ask(lot("A"))
    marks = {row["thing"]: row["never_received"] for row in section(answer, "affected")}
    assert marks == {lot("A"): ["rival"], lot("B"): []}


def test_use_before_receipt_is_shown_and_not_obeyed() -> None:
    story = Story()
    story.make((lot("A"), 10), at="farm")
    story.ship((lot("A"), 5), at="farm", to="packer")
    story.turn([(lot("A"), 5)], [(lot("B"), 5)], later_us=DAY_US + HOUR_US)
    story.receive((lot("A"), 5), at="packer", later_us=DAY_US + HOUR_US)
    answer = story.ask(lot("A"))
    assert {row["thing"] for row in section(answer, "affected")} == {lot("A"), lot("B")}
    assert [row["kind"] for row in section(answer, "contradictions")] == ["use-before-receipt"]
