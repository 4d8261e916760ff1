from __future__ import annotations

from collections.abc import Collection, Iterable

from fabric.trace import Node
from fabric.trace.carrying import Held, Window, carrying
from fabric.trace.source import IntervalRow

ALWAYS: Window = (None, None)


def held(rows: list[IntervalRow], thing: str = "lot", window: Window = ALWAYS) -> list[Held]:
    def around(nodes: Collection[Node]) -> Iterable[IntervalRow]:
        return [row for row in rows if row[0] in nodes]

    found = carrying({thing: (thing, window)}, around)
    return sorted(found, key=lambda one: (str(one.carrier), one.from_us))


def test_a_carrier_of_a_carrier_held_the_thing_while_both_held() -> None:
    rows: list[IntervalRow] = [
        ("lot", "case", "case1", 10, 30, None),
        ("case", "pallet", "pallet1", 20, 50, None),
    ]
    assert held(rows) == [
        Held("lot", "case", "case1", 10, 30, inferred_from_us=None),
        Held("lot", "pallet", "pallet1", 20, 30, inferred_from_us=None),
    ]


def test_another_use_of_the_carrier_did_not_hold_the_thing() -> None:
    rows: list[IntervalRow] = [
        ("lot", "case", "case1", 10, 30, None),
        ("case", "pallet", "pallet1", 31, 50, None),
    ]
    assert [one.carrier for one in held(rows)] == ["case"]


def test_intervals_include_both_ends() -> None:
    rows: list[IntervalRow] = [
        ("lot", "case", "case1", 10, 30, None),
        ("case", "pallet", "pallet1", 30, None, None),
    ]
    assert held(rows)[1] == Held("lot", "pallet", "pallet1", 30, 30, inferred_from_us=None)


def test_an_open_interval_stays_open() -> None:
    rows: list[IntervalRow] = [
        ("lot", "case", "case1", 10, None, None),
        ("case", "pallet", "pallet1", 20, None, 20),
    ]
    assert held(rows)[1] == Held("lot", "pallet", "pallet1", 20, None, inferred_from_us=20)


def test_what_is_above_an_inferred_interval_is_inferred() -> None:
    rows: list[IntervalRow] = [
        ("lot", "case", "case1", 10, 30, 10),
        ("case", "pallet", "pallet1", 10, 30, None),
    ]
    assert [one.inferred_at(None) for one in held(rows)] == [True, True]


def test_the_same_interval_stated_and_inferred_is_stated() -> None:
    rows: list[IntervalRow] = [
        ("lot", "case", "case1", 10, 30, 10),
        ("lot", "case", "case1", 10, 30, None),
    ]
    assert held(rows) == [Held("lot", "case", "case1", 10, 30, inferred_from_us=None)]


def test_a_filling_is_held_within_its_own_time_only() -> None:
    rows: list[IntervalRow] = [
        ("case", "pallet", "pallet1", 0, 100, None),
        ("case", "van", "van1", 200, None, None),
    ]
    assert held(rows, "case", (50, 150)) == [
        Held("case", "pallet", "pallet1", 50, 100, inferred_from_us=None)
    ]


def test_carriers_that_hold_each_other_end_by_themselves() -> None:
    rows: list[IntervalRow] = [("a", "b", "b1", 0, None, None), ("b", "a", "a1", 0, None, None)]
    assert {one.carrier for one in held(rows, "a")} == {"a", "b"}
