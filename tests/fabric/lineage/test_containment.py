from __future__ import annotations

from fabric.lineage import Contradiction, Derived, Interval

from .scene import FARM, PLANT, Scene, grai, hours, lot, sscc, tote, unit

Stay = tuple[str, float | None, float | None, str | None, float | None]


def stays(derived: Derived, parent: str) -> list[Stay]:
    """Child, from, until, quantity last inside, inferred from; in order."""
    return [_stay(row) for row in derived.intervals[parent]]


def _stay(row: Interval) -> Stay:
    guess = None if row.inferred_from is None else hours(row.inferred_from.time_us)
    until = None if row.until is None else hours(row.until.time_us)
    amount = None if row.quantity is None else str(row.quantity)
    return (str(row.child), hours(row.from_.time_us), until, amount, guess)


def fillings(derived: Derived, carrier: str) -> list[tuple[float | None, float | None, float | None]]:
    """From, until, inferred from."""
    return [
        (
            hours(row.from_.time_us),
            None if row.until is None else hours(row.until.time_us),
            None if row.inferred_from is None else hours(row.inferred_from.time_us),
        )
        for row in derived.fillings[carrier]
    ]


def kinds(found: list[Contradiction]) -> list[str]:
    return [row.kind for row in found]


def test_add_opens_and_delete_of_the_child_closes() -> None:
    scene = Scene()
    scene.pack(1, grai(1), unit("1"), unit("2"))
    scene.unpack(2, grai(1), unit("1"))
    assert stays(scene.derived(), grai(1)) == [(unit("1"), 1, 2, "1", None), (unit("2"), 1, None, "1", None)]


def test_delete_naming_no_child_closes_all() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"), (lot("A"), "5"))
    scene.unpack(2, sscc(1))
    assert [row[2] for row in stays(scene.derived(), sscc(1))] == [2, 2]


def test_a_balance_is_open_until_it_is_zero() -> None:
    scene = Scene()
    scene.pack(1, grai(1), (lot("A"), "5"))
    scene.unpack(2, grai(1), (lot("A"), "2"))
    assert stays(scene.derived(), grai(1)) == [(lot("A"), 1, None, "3", None)]
    scene.unpack(3, grai(1), (lot("A"), "3"))
    assert stays(scene.derived(), grai(1)) == [(lot("A"), 1, 3, "3", None)]


def test_a_delete_in_another_unit_of_the_same_dimension_is_converted() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5", "KGM"))
    scene.unpack(2, sscc(1), (lot("A"), "5000", "GRM"))
    assert stays(scene.derived(), sscc(1))[0][2] == 2


def test_a_delete_without_quantity_empties() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.unpack(2, sscc(1), (lot("A"), None))
    assert stays(scene.derived(), sscc(1))[0][2] == 2


def test_below_zero_is_a_contradiction_and_stays_open_as_inferred() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.unpack(2, sscc(1), (lot("A"), "6"))
    derived = scene.derived()
    assert stays(derived, sscc(1)) == [(lot("A"), 1, None, None, 2)]
    assert kinds(derived.clashes[sscc(1)]) == ["negative-contents"]


def test_a_unit_that_cannot_be_converted_is_a_contradiction_and_stays_open_as_inferred() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5", "KGM"))
    scene.unpack(2, sscc(1), (lot("A"), "5", "LTR"))
    derived = scene.derived()
    assert stays(derived, sscc(1)) == [(lot("A"), 1, None, "5", 2)]
    assert kinds(derived.clashes[sscc(1)]) == ["unit-mismatch"]


def test_observe_where_nothing_covers_opens_an_inferred_interval() -> None:
    scene = Scene()
    scene.look(1, sscc(1), unit("1"))
    assert stays(scene.derived(), sscc(1)) == [(unit("1"), 1, None, "1", 1)]


def test_observe_of_what_is_inside_changes_nothing() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    before = stays(scene.derived(), sscc(1))
    scene.look(2, sscc(1), unit("1"))
    assert stays(scene.derived(), sscc(1)) == before


def test_a_serial_packed_elsewhere_leaves_its_parent() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    scene.pack(2, sscc(2), unit("1"))
    derived = scene.derived()
    assert stays(derived, sscc(1))[0][2] == 2
    assert stays(derived, sscc(2))[0][2] is None


def test_a_serial_used_as_an_input_leaves_its_parent() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    scene.transform(2, [unit("1")], [(lot("B"), "1")])
    assert stays(scene.derived(), sscc(1))[0][2] == 2


def test_a_decommissioned_serial_leaves_its_parent() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    scene.event("Object", 2, action="DELETE", step="decommissioning", objects=[unit("1")], at=FARM)
    assert stays(scene.derived(), sscc(1))[0][2] == 2


def test_at_one_time_the_position_in_the_document_orders() -> None:
    scene = Scene()
    scene.unpack(1, sscc(1), unit("1"), position=2)
    scene.pack(1, sscc(1), unit("1"), position=1)
    assert stays(scene.derived(), sscc(1)) == [(unit("1"), 1, 1, "1", None)]


def test_a_serial_seen_in_two_parents_at_once_is_a_contradiction() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    scene.look(2, sscc(2), unit("1"))
    assert kinds(scene.summary(unit("1")).contradictions) == ["contained-twice"]


def test_a_serial_seen_on_a_pallet_in_its_case_is_no_contradiction() -> None:
    scene = Scene()
    scene.pack(1, tote(1), unit("1"))
    scene.pack(2, sscc(1), tote(1))
    scene.look(3, sscc(1), unit("1"))
    assert scene.summary(unit("1")).contradictions == []


def test_a_filling_lasts_from_first_content_to_emptied() -> None:
    scene = Scene()
    scene.pack(1, grai(1), unit("1"))
    scene.pack(2, grai(1), unit("2"))
    scene.unpack(3, grai(1), unit("1"))
    scene.unpack(4, grai(1), unit("2"))
    scene.pack(5, grai(1), unit("3"))
    assert fillings(scene.derived(), grai(1)) == [(1, 4, None), (5, None, None)]


def test_a_filling_begins_with_the_creation_of_its_carrier() -> None:
    scene = Scene()
    scene.make(1, grai(1))
    scene.pack(2, grai(1), unit("1"))
    assert fillings(scene.derived(), grai(1)) == [(1, None, None)]


def test_created_again_is_another_filling_and_empties_the_last() -> None:
    scene = Scene()
    scene.make(1, grai(1))
    scene.pack(2, grai(1), unit("1"))
    scene.make(3, grai(1))
    derived = scene.derived()
    assert fillings(derived, grai(1)) == [(1, 3, None), (3, None, None)]
    assert stays(derived, grai(1))[0][2] == 3


def test_a_first_creation_shortly_after_packing_belongs_to_that_filling() -> None:
    scene = Scene()
    scene.pack(1, grai(1), unit("1"))
    scene.make(2, grai(1))
    assert fillings(scene.derived(), grai(1)) == [(1, None, None)]


def test_decommissioning_the_carrier_ends_the_filling() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    scene.event("Object", 2, action="DELETE", step="decommissioning", objects=[sscc(1)], at=FARM)
    assert fillings(scene.derived(), sscc(1)) == [(1, 2, None)]


def test_an_sscc_left_open_goes_on_as_inferred_after_a_year() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    year = 1 + 365 * 24
    assert fillings(scene.derived(), sscc(1)) == [(1, None, year)]
    assert stays(scene.derived(), sscc(1)) == [(lot("A"), 1, None, "5", year)]


def test_a_returnable_asset_packed_elsewhere_goes_on_as_inferred() -> None:
    scene = Scene()
    scene.pack(1, grai(1), (lot("A"), "5"), at=FARM)
    scene.pack(9, grai(1), (lot("B"), "5"), at=PLANT)
    derived = scene.derived()
    assert fillings(derived, grai(1)) == [(1, None, 9)]
    assert stays(derived, grai(1)) == [(lot("A"), 1, None, "5", 9), (lot("B"), 9, None, "5", None)]


def test_an_asset_packed_again_at_its_place_stays_stated() -> None:
    scene = Scene()
    scene.pack(1, tote(1), (lot("A"), "5"))
    scene.pack(9, tote(1), (lot("B"), "5"))
    assert fillings(scene.derived(), tote(1)) == [(1, None, None)]


def test_the_events_of_a_thing_are_those_of_its_carriers_while_it_was_inside() -> None:
    scene = Scene()
    scene.make(0, (lot("A"), "5"))
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.ship(2, sscc(1))
    scene.receive(3, sscc(1))
    scene.unpack(4, sscc(1), at=PLANT)
    scene.ship(40, sscc(1), at=PLANT, to=FARM)
    state = scene.summary(lot("A")).state
    assert state is not None
    assert (state.record, state.place) == (5, PLANT)
    assert [leg.carrier for leg in scene.summary(lot("A")).legs] == [sscc(1)]


def test_events_reach_through_carriers_of_carriers() -> None:
    scene = Scene()
    scene.pack(1, tote(1), (lot("A"), "5"))
    scene.pack(2, sscc(1), tote(1))
    scene.ship(3, sscc(1))
    (leg,) = scene.summary(lot("A")).legs
    assert (leg.carrier, str(leg.sent)) == (sscc(1), "5")


def test_a_carriers_event_outside_every_filling_belongs_to_the_nearest_within_a_day() -> None:
    scene = Scene()
    scene.ship(1, sscc(1))
    scene.pack(20, sscc(1), (lot("A"), "5"))
    (leg,) = scene.summary(lot("A")).legs
    assert leg.inferred
    scene.facts[0] = scene.facts[0]._replace(time_us=scene.facts[0].time_us - 24 * 3_600_000_000)
    assert scene.summary(lot("A")).legs == []


def test_parts_of_a_lot_in_several_carriers_of_one_event_all_move() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.pack(1, sscc(2), (lot("A"), "7"))
    scene.ship(2, sscc(1), sscc(2))
    assert sorted((leg.carrier, str(leg.sent)) for leg in scene.summary(lot("A")).legs) == [
        (sscc(1), "5"),
        (sscc(2), "7"),
    ]


def test_parts_of_a_lot_in_totes_of_one_pallet_add_up() -> None:
    scene = Scene()
    scene.pack(1, tote(1), (lot("A"), "5"))
    scene.pack(1, tote(2), (lot("A"), "7"))
    scene.pack(2, sscc(1), tote(1), tote(2))
    scene.ship(3, sscc(1))
    (leg,) = scene.summary(lot("A")).legs
    assert (leg.carrier, str(leg.sent)) == (sscc(1), "12")


def test_of_nested_carriers_in_one_event_the_innermost_speaks() -> None:
    scene = Scene()
    scene.pack(1, tote(1), (lot("A"), "5"))
    scene.pack(2, sscc(1), tote(1))
    scene.ship(3, sscc(1), tote(1))
    (leg,) = scene.summary(lot("A")).legs
    assert (leg.carrier, str(leg.sent)) == (tote(1), "5")


def test_a_stray_event_of_an_outer_carrier_reaches_what_is_in_the_inner_one() -> None:
    scene = Scene()
    scene.pack(1, tote(1), (lot("A"), "5"))
    scene.ship(2, sscc(1))
    scene.pack(3, sscc(1), tote(1))
    (leg,) = scene.summary(lot("A")).legs
    assert (leg.carrier, str(leg.sent), leg.inferred) == (sscc(1), "5", True)
