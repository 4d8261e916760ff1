from __future__ import annotations

from fabric.lineage import Leg, Summary

from .scene import FARM, OTHER, PLANT, SHOP, Scene, hours, lot, sscc, unit

PO = [("po", "urn:po:1")]


def legs(summary: Summary) -> list[tuple[str | None, str | None, str, bool, str | None, str | None]]:
    """From, to, state, stated, sent, got."""
    return [_leg(leg) for leg in summary.legs]


def _leg(leg: Leg) -> tuple[str | None, str | None, str, bool, str | None, str | None]:
    amounts = [None if amount is None else str(amount) for amount in (leg.sent, leg.got)]
    return (leg.from_place, leg.to_place, leg.state, leg.stated, amounts[0], amounts[1])


def scene_of(*steps: str, **more: object) -> Scene:
    scene = Scene()
    for hour, step in enumerate(steps, 1):
        scene.see(hour, step, (lot("A"), "5"), at=FARM, to=PLANT, **more)
    return scene


def test_a_pair_is_stated_by_a_document_number() -> None:
    scene = scene_of("shipping", docs=PO)
    scene.receive(9, (lot("A"), "5"), docs=PO)
    assert legs(scene.summary(lot("A"))) == [(FARM, PLANT, "received", True, "5", "5")]


def test_a_pair_is_stated_by_the_same_carrier() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.ship(2, sscc(1))
    scene.receive(9, sscc(1))
    assert legs(scene.summary(lot("A"))) == [(FARM, PLANT, "received", True, "5", "5")]


def test_without_carrier_or_document_a_pair_is_possible() -> None:
    scene = scene_of("shipping")
    scene.receive(9, (lot("A"), "5"))
    assert legs(scene.summary(lot("A"))) == [(FARM, PLANT, "received", False, "5", "5")]


def test_a_document_of_another_type_states_nothing() -> None:
    other = [("inv", "urn:inv:1")]
    scene = scene_of("shipping", docs=other)
    scene.receive(9, (lot("A"), "5"), docs=other)
    assert legs(scene.summary(lot("A")))[0][3] is False


def test_each_dispatch_and_receipt_word_pairs() -> None:
    for out in ("shipping", "consigning", "departing", "transporting"):
        for into in ("receiving", "accepting", "arriving"):
            scene = scene_of(out)
            scene.receive(9, (lot("A"), "5"), step=into)
            assert legs(scene.summary(lot("A")))[0][2] == "received"


def test_transporting_without_a_destination_is_no_dispatch() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"), step="transporting", to=None)
    assert scene.summary(lot("A")).legs == []


def test_dispatch_records_of_one_lot_source_destination_and_day_are_one_leg() -> None:
    scene = scene_of("shipping", "departing", "transporting")
    assert legs(scene.summary(lot("A"))) == [(FARM, PLANT, "open", False, "5", None)]


def test_two_shipments_of_one_day_are_one_leg_with_their_sum() -> None:
    scene = scene_of("shipping")
    scene.ship(3, (lot("A"), "7"), docs=PO)
    assert [row[4] for row in legs(scene.summary(lot("A")))] == ["12"]


def test_the_day_of_a_leg_is_local() -> None:
    scene = Scene()
    scene.ship(22, (lot("A"), "5"), offset_min=180)
    scene.ship(25, (lot("A"), "5"), offset_min=180)
    assert len(scene.summary(lot("A")).legs) == 1


def test_other_days_and_destinations_are_other_legs() -> None:
    scene = scene_of("shipping")
    scene.ship(30, (lot("A"), "5"))
    scene.ship(2, (lot("A"), "5"), to=SHOP)
    assert len(scene.summary(lot("A")).legs) == 3


def test_a_receipt_elsewhere_does_not_pair() -> None:
    scene = scene_of("shipping", docs=PO)
    scene.receive(9, (lot("A"), "5"), at=OTHER, docs=PO)
    assert [(row[2], row[4], row[5]) for row in legs(scene.summary(lot("A")))] == [
        ("open", "5", None),
        ("received", None, "5"),
    ]


def test_a_receipt_at_a_part_of_the_destination_pairs() -> None:
    scene = scene_of("shipping")
    scene.receive(9, (lot("A"), "5"), at=f"{PLANT}/254/7")
    assert legs(scene.summary(lot("A")))[0][2] == "received"


def test_a_receipt_may_precede_its_dispatch_by_a_day() -> None:
    scene = Scene()
    scene.receive(1, (lot("A"), "5"), docs=PO)
    scene.ship(25, (lot("A"), "5"), docs=PO)
    (leg,) = scene.summary(lot("A")).legs
    assert (leg.state, hours(leg.dispatched_us), hours(leg.received_us)) == ("received", 25, 1)
    state = scene.summary(lot("A")).state
    assert state is not None
    assert (state.place, state.state) == (PLANT, "held")


def test_a_receipt_more_than_a_day_early_is_a_contradiction() -> None:
    scene = Scene()
    scene.receive(1, (lot("A"), "5"), docs=PO)
    scene.ship(25.1, (lot("A"), "5"), docs=PO)
    summary = scene.summary(lot("A"))
    assert sorted(leg.state for leg in summary.legs) == ["open", "received"]
    assert "receipt-before-dispatch" in [row.kind for row in summary.contradictions]


def test_a_receipt_that_fits_two_dispatches_stays_unpaired_and_listed() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"))
    scene.ship(30, (lot("A"), "5"))
    scene.receive(60, (lot("A"), "5"))
    assert [leg.state for leg in scene.summary(lot("A")).legs] == ["ambiguous"] * 3


def test_a_document_number_settles_which_dispatch_it_was() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"))
    scene.ship(30, (lot("A"), "5"), docs=PO)
    scene.receive(60, (lot("A"), "5"), docs=PO)
    assert [leg.state for leg in scene.summary(lot("A")).legs] == ["open", "received"]


def test_a_dispatch_that_a_receipt_had_to_belong_to_leaves_the_other_one() -> None:
    scene = Scene()
    scene.ship(1, unit("1"))
    scene.receive(2, unit("1"))
    scene.ship(40, unit("1"), at=PLANT, to=FARM)
    scene.receive(41, unit("1"), at=FARM)
    scene.ship(80, unit("1"))
    scene.receive(81, unit("1"))
    assert [leg.state for leg in scene.summary(unit("1")).legs] == ["received"] * 3


def test_a_delivery_in_parts_adds_up() -> None:
    scene = scene_of("shipping")
    scene.receive(9, (lot("A"), "2"))
    scene.receive(30, (lot("A"), "3"))
    assert legs(scene.summary(lot("A"))) == [(FARM, PLANT, "received", False, "5", "5")]


def test_arriving_and_accepting_say_the_same_amount_twice() -> None:
    scene = scene_of("shipping")
    scene.receive(9, (lot("A"), "5"), step="arriving")
    scene.receive(30, (lot("A"), "4"), step="accepting")
    assert legs(scene.summary(lot("A")))[0][4:] == ("5", "5")


def test_void_shipping_takes_a_dispatch_back() -> None:
    scene = scene_of("shipping")
    scene.see(2, "void_shipping", (lot("A"), "5"), at=FARM)
    summary = scene.summary(lot("A"))
    assert legs(summary)[0][2] == "voided"
    assert [str(row.dispatched) for row in summary.stock] == []
    assert summary.state is not None
    assert (summary.state.place, summary.state.state) == (FARM, "held")


def test_void_shipping_of_a_part_leaves_the_rest_on_its_way() -> None:
    scene = scene_of("shipping")
    scene.see(2, "void_shipping", (lot("A"), "2"), at=FARM)
    assert legs(scene.summary(lot("A")))[0] == (FARM, PLANT, "open", False, "3", None)


def test_an_event_that_names_carrier_and_content_counts_once() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.ship(2, sscc(1), (lot("A"), "5"))
    assert [str(leg.sent) for leg in scene.summary(lot("A")).legs] == ["5"]


def test_until_received_a_thing_is_in_transit_and_its_holder_is_the_sender() -> None:
    scene = scene_of("shipping")
    state = scene.summary(lot("A")).state
    assert state is not None
    assert (state.place, state.state) == (FARM, "in_transit")


def test_the_possessing_party_of_the_last_event_holds_it() -> None:
    scene = scene_of("shipping")
    scene.receive(9, (lot("A"), "5"), possessor=SHOP)
    state = scene.summary(lot("A")).state
    assert state is not None
    assert (state.possessor, state.place) == (SHOP, PLANT)
