from __future__ import annotations

from fabric.lineage import Leg, Summary

from .scene import FARM, OTHER, PLANT, SHOP, Scene, grai, hours, lot, sscc, unit

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


def states(summary: Summary) -> list[str]:
    return [leg.state for leg in summary.legs]


def crossing(owner: str | None, possessor: str | None) -> Scene:
    """A pallet goes to the plant and on to the shop, in the hands or for the account of the same party."""
    scene, named = Scene(), {"owner": owner, "possessor": possessor}
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.ship(2, sscc(1), at=FARM, to=PLANT, **named)
    scene.receive(8, sscc(1), at=PLANT, to=PLANT, **named)
    scene.ship(10, sscc(1), at=PLANT, to=SHOP, **named)
    scene.receive(15, sscc(1), at=SHOP, to=SHOP, **named)
    return scene


def test_an_owner_on_both_sides_of_two_hops_says_nothing_about_where_they_end() -> None:
    found = legs(crossing(OTHER, None).summary(lot("A")))
    assert [row[:3] for row in found] == [(FARM, PLANT, "received"), (PLANT, SHOP, "received")]


def test_hops_inside_one_possessor_are_told_apart_by_their_locations() -> None:
    found = legs(crossing(None, OTHER).summary(lot("A")))
    assert [row[:3] for row in found] == [(FARM, PLANT, "received"), (PLANT, SHOP, "received")]


def test_a_dispatch_without_a_location_goes_to_who_gets_possession() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"), to=None, possessor=SHOP, owner=OTHER)
    scene.receive(9, (lot("A"), "5"), at=PLANT, possessor=SHOP)
    assert legs(scene.summary(lot("A")))[0][:3] == (FARM, SHOP, "received")


def test_an_owner_is_a_destination_only_where_nothing_better_is_named() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"), to=None, possessor=SHOP, owner=OTHER)
    scene.receive(9, (lot("A"), "5"), at=PLANT, owner=OTHER)
    scene.ship(1, (lot("B"), "5"), to=None, owner=OTHER)
    scene.receive(9, (lot("B"), "5"), at=PLANT, owner=OTHER)
    assert states(scene.summary(lot("A"))) == ["open", "received"]
    assert states(scene.summary(lot("B"))) == ["received"]


def test_a_carrier_under_way_twice_is_received_in_turn() -> None:
    scene = Scene()
    for day in range(3):
        scene.ship(48 * day + 1, grai(1))
        scene.receive(48 * day + 5, grai(1))
        scene.ship(48 * day + 20, grai(1), at=PLANT, to=FARM)
        scene.receive(48 * day + 24, grai(1), at=FARM)
    received = [(hours(leg.dispatched_us), hours(leg.received_us)) for leg in scene.summary(grai(1)).legs]
    assert received == [(1, 5), (20, 24), (49, 53), (68, 72), (97, 101), (116, 120)]


def test_of_two_dispatches_of_a_carrier_the_later_one_was_received() -> None:
    scene = Scene()
    scene.ship(1, grai(1))
    scene.ship(50, grai(1))
    scene.receive(60, grai(1))
    assert states(scene.summary(grai(1))) == ["open", "received"]


def test_a_carrier_that_arrived_and_was_accepted_the_next_day_was_received_once() -> None:
    scene = Scene()
    scene.ship(1, grai(1))
    scene.ship(50, grai(1))
    scene.receive(60, grai(1), step="arriving")
    scene.receive(80, grai(1), step="accepting")
    assert states(scene.summary(grai(1))) == ["open", "received"]


def test_the_document_tells_which_trip_of_a_carrier_was_received_late() -> None:
    scene = Scene()
    scene.ship(1, grai(1), docs=PO)
    scene.ship(50, grai(1), docs=[("po", "urn:po:2")])
    scene.receive(60, grai(1), docs=PO)
    assert states(scene.summary(grai(1))) == ["received", "open"]


def test_pallets_of_one_order_are_each_received_by_their_own_number() -> None:
    scene = Scene()
    for number in (1, 2, 3):
        scene.pack(number, sscc(number), (lot("A"), "5"))
        scene.ship(10 + number, sscc(number), docs=PO)
        scene.receive(20 + number, sscc(number), docs=PO)
    found = scene.summary(lot("A"))
    assert states(found) == ["received"] * 3
    assert [(str(leg.sent), str(leg.got)) for leg in found.legs] == [("5", "5")] * 3


def test_a_pallet_seen_with_its_contents_is_the_carrier_that_was_sent() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.pack(1, sscc(2), (lot("A"), "7"))
    for number in (1, 2):
        scene.ship(10, sscc(number))
    scene.look(20, sscc(2), (lot("A"), "7"), step="receiving", at=PLANT)
    found = {(leg.carrier, leg.state, leg.stated) for leg in scene.summary(lot("A")).legs}
    assert found == {(sscc(1), "open", True), (sscc(2), "received", True)}


def test_the_place_a_receipt_names_as_its_source_tells_two_dispatches_apart() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"), at=FARM)
    scene.ship(2, (lot("A"), "6"), at=OTHER)
    scene.receive(9, (lot("A"), "6"), source=OTHER)
    found = scene.summary(lot("A"))
    assert [(leg.from_place, leg.state) for leg in found.legs] == [(FARM, "open"), (OTHER, "received")]


def test_a_dispatch_after_the_receipt_is_considered_only_when_none_was_before() -> None:
    scene = Scene()
    scene.ship(1, (lot("A"), "5"))
    scene.receive(9, (lot("A"), "5"))
    scene.ship(25, (lot("A"), "6"))
    scene.receive(33, (lot("A"), "6"))
    assert [(str(leg.sent), str(leg.got)) for leg in scene.summary(lot("A")).legs] == [("5", "5"), ("6", "6")]


def test_a_first_receipt_without_dispatch_does_not_contradict_a_later_round_trip() -> None:
    scene = Scene()
    scene.pack(1, grai(1), (lot("A"), "5"))
    scene.receive(2, grai(1))
    scene.ship(100, grai(1), at=OTHER)
    scene.receive(105, grai(1))
    found = scene.summary(lot("A"))
    assert found.contradictions == []
    assert states(found) == ["received", "received"]
