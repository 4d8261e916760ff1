"""What a dispatch shows: the pure part, over one member's own records."""

from __future__ import annotations

from fabric.visibility.handover import Own, Part, creation_pointers, held_at, is_dispatch, shown_by

PALLET, CASE, OTHER, LOT, INPUT = range(1, 6)


def own(record: int, time: int, action: str, *parts: Part, kind: str = "AggregationEvent") -> Own:
    return Own(record, kind, action, None, time, (record, b""), parts)


def pack(record: int, time: int, parent: int, *children: int, action: str = "ADD") -> Own:
    return own(record, time, action, part(parent, "parent"), *[part(child, "child") for child in children])


def part(thing: int, role: str, quantity: str | None = None) -> Part:
    return Part(thing, role, quantity, "KGM" if quantity else None)


def dispatch(*things: int) -> Own:
    return own(99, 100, "OBSERVE", *[part(thing, "object") for thing in things], kind="ObjectEvent")


def test_what_a_carrier_held_then_is_what_was_packed_and_not_unpacked() -> None:
    packings = [
        pack(1, 10, PALLET, CASE),
        pack(2, 20, PALLET, LOT),
        pack(3, 30, PALLET, CASE, action="DELETE"),
    ]
    assert held_at(packings, 25) == ({CASE, LOT}, {1, 2})
    assert held_at(packings, 100) == ({LOT}, {2})
    assert held_at(packings[::-1], 100) == ({LOT}, {2})


def test_unpacking_without_naming_a_child_empties() -> None:
    assert held_at([pack(1, 10, PALLET, CASE), pack(2, 20, PALLET, action="DELETE")], 100) == (set(), set())


def test_a_balance_by_class_stays_until_it_is_taken_out() -> None:
    def batch(record: int, action: str, amount: str | None) -> Own:
        return own(record, record, action, part(PALLET, "parent"), part(LOT, "child", amount))

    packings = [batch(1, "ADD", "10"), batch(2, "DELETE", "4")]
    assert held_at(packings, 100) == ({LOT}, {1, 2})
    assert held_at([*packings, batch(3, "DELETE", "6")], 100) == (set(), set())
    assert held_at([*packings, batch(3, "DELETE", None)], 100) == (set(), set())


def test_observing_contents_states_them() -> None:
    assert held_at([pack(1, 10, PALLET, CASE, action="OBSERVE")], 100) == ({CASE}, {1})


def test_carriers_inside_carriers_are_handed_over_with_them() -> None:
    packings = {
        PALLET: [pack(1, 10, PALLET, CASE)],
        CASE: [pack(2, 5, CASE, LOT)],
        OTHER: [pack(3, 5, OTHER, LOT)],
    }
    found = shown_by(dispatch(PALLET), packings, {})
    assert found.whole == {1, 2}
    assert found.things == {PALLET, CASE, LOT}


def test_what_was_packed_after_the_dispatch_is_not_shown() -> None:
    assert shown_by(dispatch(PALLET), {PALLET: [pack(1, 101, PALLET, CASE)]}, {}).whole == frozenset()


def test_creations_of_what_is_handed_over_are_shown_in_part() -> None:
    made = own(7, 1, "ADD", part(LOT, "output"), part(INPUT, "input"), kind="TransformationEvent")
    found = shown_by(dispatch(LOT), {}, {LOT: [made]})
    assert found.whole == frozenset()
    assert found.part == {7}


def test_a_packing_cycle_ends() -> None:
    packings = {PALLET: [pack(1, 1, PALLET, CASE)], CASE: [pack(2, 2, CASE, PALLET)]}
    assert shown_by(dispatch(PALLET), packings, {}).whole == {1, 2}


def test_a_dispatch_needs_its_step_and_a_destination() -> None:
    assert is_dispatch("shipping", True)
    assert not is_dispatch("shipping", False)
    assert not is_dispatch("receiving", True)
    assert not is_dispatch(None, True)


def test_the_units_of_a_creation_never_include_inputs() -> None:
    names = (
        "@context",
        "type",
        "eventTime",
        "inputQuantityList",
        "outputQuantityList",
        "ilmd",
        "bizTransactionList",
    )
    record = dict.fromkeys(names, 0) | {"type": "TransformationEvent", "epcList": 0}
    assert creation_pointers(record) == ["/@context", "/type", "/eventTime", "/ilmd", "/outputQuantityList"]
    made = {"@context": 0, "type": "ObjectEvent", "epcList": 0, "outputEPCList": 0}
    assert creation_pointers(made) == ["/@context", "/type", "/epcList"]
