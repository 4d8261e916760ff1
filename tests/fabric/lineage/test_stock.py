from __future__ import annotations

from decimal import Decimal

from fabric.lineage import Stock

from .scene import FARM, OTHER, PLANT, SHOP, Scene, lot, sscc, unit


def at(scene: Scene, place: str, thing: str | None = None, measure: str | None = "KGM") -> Stock:
    rows = scene.summary(thing or lot("A")).stock
    return next(row for row in rows if row.place == place and row.unit == measure)


def kinds(scene: Scene, thing: str | None = None) -> list[str]:
    return [row.kind for row in scene.summary(thing or lot("A")).contradictions]


def test_stock_is_in_less_out_per_place() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "10"))
    scene.ship(2, (lot("A"), "6"))
    scene.receive(3, (lot("A"), "6"))
    scene.transform(4, [(lot("A"), "1.5")], [(lot("B"), "1")])
    scene.see(5, "retail_selling", (lot("A"), "1"), at=PLANT)
    scene.see(6, "destroying", (lot("A"), "0.5"), at=PLANT)
    farm, plant = at(scene, FARM), at(scene, PLANT)
    assert [farm.made, farm.dispatched, farm.on_hand] == [10, 6, 4]
    assert [plant.received, plant.used, plant.sold, plant.destroyed] == [6, Decimal("1.5"), 1, Decimal("0.5")]
    assert plant.on_hand == 3
    assert kinds(scene) == []


def test_outputs_are_made_where_they_come_out() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5")], [(lot("B"), "4")])
    assert at(scene, PLANT, lot("B")).made == 4


def test_a_lot_made_at_several_places_has_a_row_for_each() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), at=FARM)
    scene.make(2, (lot("A"), "3"), at=PLANT)
    assert [at(scene, FARM).made, at(scene, PLANT).made] == [5, 3]


def test_unknown_is_not_zero() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), None))
    scene.see(2, "retail_selling", (lot("A"), "3"), at=FARM)
    rows = scene.summary(lot("A")).stock
    assert sum(row.without_quantity for row in rows) == 1
    assert at(scene, FARM).surplus == 0
    assert kinds(scene) == []


def test_more_out_than_in_is_surplus_and_never_negative_stock() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"))
    scene.ship(2, (lot("A"), "7"))
    row = at(scene, FARM)
    assert [row.on_hand, row.surplus, row.short] == [0, 2, 0]
    assert kinds(scene) == ["out-above-in"]


def test_the_newest_count_and_what_moved_after_it_is_on_hand() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "10"))
    scene.see(2, "cycle_counting", (lot("A"), "8"), at=FARM)
    scene.see(3, "retail_selling", (lot("A"), "3"), at=FARM)
    row = at(scene, FARM)
    assert [row.counted, row.on_hand, row.short, row.surplus] == [8, 5, 2, 0]
    assert kinds(scene) == ["count-below-book"]


def test_shortfall_and_surplus_of_counts_are_never_netted() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "10"))
    scene.see(2, "stock_taking", (lot("A"), "8"), at=FARM)
    scene.see(3, "stock_taking", (lot("A"), "11"), at=FARM)
    row = at(scene, FARM)
    assert [row.on_hand, row.short, row.surplus] == [11, 2, 3]


def test_amounts_of_one_dimension_are_added_exactly() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "1", "KGM"))
    scene.make(2, (lot("A"), "250", "GRM"))
    scene.make(3, (lot("A"), "1", "LBR"))
    assert at(scene, FARM).made == Decimal("1.70359237")


def test_amounts_of_two_dimensions_are_never_added() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "1", "KGM"))
    scene.make(2, (lot("A"), "3", "LTR"))
    assert [at(scene, FARM).made, at(scene, FARM, measure="LTR").made] == [1, 3]


def test_no_unit_means_items_and_dozens_are_items() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5", None))
    scene.make(2, (lot("A"), "2", "DZN"))
    assert at(scene, FARM, measure=None).made == 29


def test_contents_are_used_sold_and_destroyed_with_their_carrier() -> None:
    scene = Scene()
    scene.make(0, (lot("A"), "5"), at=PLANT)
    scene.pack(1, sscc(1), (lot("A"), "5"), at=PLANT)
    scene.transform(2, [sscc(1)], [(lot("B"), "4")])
    assert [at(scene, PLANT).used, at(scene, PLANT).on_hand] == [5, 0]


def test_decommissioning_a_carrier_destroys_no_contents() -> None:
    scene = Scene()
    scene.make(0, (lot("A"), "5"))
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.event("Object", 2, action="DELETE", step="decommissioning", objects=[sscc(1)], at=FARM)
    assert at(scene, FARM).destroyed == 0


def test_one_item_ends_once() -> None:
    scene = Scene()
    scene.make(1, unit("1"))
    scene.see(2, "retail_selling", unit("1"), at=FARM)
    scene.event("Object", 3, action="DELETE", step="decommissioning", objects=[unit("1")], at=FARM)
    row = at(scene, FARM, unit("1"), None)
    assert [row.sold, row.destroyed, row.surplus] == [1, 0, 0]


def test_use_before_receipt_is_reported_and_not_obeyed() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5")], [(lot("B"), "5")])
    scene.receive(30, (lot("A"), "5"))
    assert kinds(scene) == ["use-before-receipt"]
    assert [at(scene, PLANT).used, at(scene, PLANT).received] == [5, 5]


def test_a_date_without_a_time_stands_for_its_day() -> None:
    scene = Scene()
    scene.transform(24, [(lot("A"), "5")], [(lot("B"), "5")])
    scene.receive(38, (lot("A"), "5"))
    assert kinds(scene) == []


def test_a_member_that_neither_made_nor_received_a_thing_is_marked() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), member="farm")
    scene.transform(2, [(lot("A"), "5")], [(lot("B"), "5")], member="plant")
    assert scene.summary(lot("A")).never_received == ("plant",)
    scene.receive(1.5, (lot("A"), "5"), member="plant")
    assert scene.summary(lot("A")).never_received == ()


def test_a_relayed_copy_changes_no_quantity_and_marks_nobody() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), member="farm")
    scene.ship(2, (lot("A"), "5"), to=SHOP, member="farm", event_id="urn:e:1")
    before = scene.summary(lot("A"))
    scene.ship(2, (lot("A"), "5"), to=SHOP, member="shop", event_id="urn:e:1")
    after = scene.summary(lot("A"))
    assert (after.stock, [leg.sent for leg in after.legs]) == (
        before.stock,
        [leg.sent for leg in before.legs],
    )
    assert after.never_received == ()


def test_amounts_of_any_length_stay_exact() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "0.1"))
    scene.ship(2, (lot("A"), "1000000000000000000000000000000000.0002"))
    assert str(at(scene, FARM).surplus) == "999999999999999999999999999999999.9002"


def test_things_with_one_course_differ_where_something_else_happened_to_one() -> None:
    scene = Scene()
    for number, member in (("1", "farm"), ("2", "thief")):
        scene.make(1, unit(number))
        scene.see(2, "inspecting", unit(number), at=OTHER, member=member)
    scene.receive(3, unit("1"), unit("2"))
    scene.ship(4, unit("1"), unit("2"))
    one, other = scene.summary(unit("1")), scene.summary(unit("2"))
    assert (one.never_received, other.never_received) == ((), ("thief",))
    assert one.legs == other.legs


def test_the_last_event_of_each_is_its_own_where_its_dispatch_was_received_before() -> None:
    scene = Scene()
    for number, place in (("1", SHOP), ("2", OTHER)):
        scene.see(2.5, "storing", unit(number), at=place)
    scene.receive(2, unit("1"), unit("2"))
    scene.ship(3, unit("1"), unit("2"))
    states = [scene.summary(unit(number)).state for number in ("1", "2")]
    assert [state.place for state in states if state is not None] == [SHOP, OTHER]
